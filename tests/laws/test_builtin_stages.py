"""The built-in stages keep the laws of their families, in the three lines that a third party would write."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from retouch.api import (
    AttentionControl,
    Blend,
    Ddim,
    Denoiser,
    DpmPlusPlus2M,
    Edict,
    Edit,
    Heun,
    Injected,
    Latents,
    Mask,
    Negatives,
    Offset,
    Prediction,
    Schedule,
    stage,
    together,
    unguided,
)
from retouch.run.executor import run
from retouch.testing import laws
from retouch.testing.tiny import Draws
from retouch.testing.worlds import gaussian_world, tiny_world
from retouch_methods.blend.latent import latent
from retouch_methods.guide.cfg import cfg
from retouch_methods.invert.ddim import ddim
from retouch_methods.invert.null_text import null_text
from retouch_methods.mask.diffedit import diffedit
from retouch_methods.mask.given import box
from retouch_methods.sample.sample import sample
from tests.laws.by_hand import masactrl, p2p, pag, pnp

WORLD = replace(tiny_world(steps=6), guidance=pag())
NOISE = Draws(3).tensor(6, 4, 8, 8)
RULES = {
    "Ddim": Ddim(),
    "Ddim eta 1": Ddim(eta=1),
    "Heun": Heun(),
    "Edict": Edict(),
    "DpmPlusPlus2M": DpmPlusPlus2M(),
    "Negatives(Ddim)": Negatives(Ddim(eta=0.5), (WORLD.edit.target,) * 6),
    "Injected(Edict)": Injected(Edict(), NOISE.double(), share=0.5, steps=4),
    "Offset(Ddim)": Offset(Ddim(), NOISE[:, None]),
}


def test_the_source_of_a_pinned_inversion_ends_at_the_picture():
    laws.source_law(ddim, pinned="always")


def test_ddim_replays_where_the_steps_are_many():
    laws.replay_law(ddim, gaussian_world(steps=200), tolerance=0.04)


@pytest.mark.parametrize("name", RULES)
def test_any_rule_held_to_random_states_replays_them_under_perturbed_attention_guidance(name):
    laws.rule_law(RULES[name], WORLD, tolerance=3e-4)


@pytest.mark.parametrize("control", [p2p, masactrl, pnp])
def test_a_control_between_equal_rows_is_the_identity(control):
    laws.identity_law(control, tolerance=1e-5)


@pytest.mark.parametrize("control", [p2p, masactrl, pnp])
def test_rows_that_no_touch_names_keep_their_bits(control):
    laws.touch_law(control)


def test_latent_blending_keeps_the_state_or_the_source_bit_for_bit():
    laws.blend_law(latent)


def test_diffedit_masks_fit_and_are_empty_where_nothing_changes():
    mask = laws.mask_law(diffedit)
    assert 0 < mask.data.mean() < 1


def test_a_box_is_a_mask():
    laws.mask_law(box, left=0.2, right=0.7)


@pytest.mark.parametrize("scale", [0.0, 1.5, 7.5])
def test_classifier_free_guidance_is_affine_and_neutral_at_one(scale):
    laws.guidance_law(cfg(guidance=scale), neutral=cfg(guidance=1.0))


def test_perturbed_attention_guidance_is_affine_and_neutral_at_zero():
    laws.guidance_law(pag(3.0), neutral=pag(0.0))


@pytest.mark.parametrize("options", [{}, {"convention": "fixed_point", "iterations": 3}, {"strength": 0.58}])
def test_ddim_costs_what_it_says(options):
    laws.rows_law(ddim, gaussian_world(steps=50), **options)


@pytest.mark.parametrize("options", [{}, {"maps": 3}])
def test_diffedit_costs_what_it_says(options):
    laws.rows_law(diffedit, **options)


@pytest.mark.parametrize("options", [{"stop": 1.0}, {"stop": 0.0, "inner_steps": 3}])
def test_null_text_costs_what_it_says(options):
    world = replace(tiny_world(steps=3), guidance=cfg(guidance=3.0))
    rows = laws.rows_law(null_text, world, facts={"guide": 2}, **options)
    assert rows == (12 if options["stop"] else 18)


@pytest.mark.crossed
@pytest.mark.parametrize("attend", [(), (p2p(),)])
@pytest.mark.parametrize("blends", [False, True])
@pytest.mark.parametrize("pinned", ["auto", "never", "always"])
@pytest.mark.parametrize("guide", [1, 2])
def test_sampling_costs_what_it_says(attend, blends, pinned, guide):
    world = replace(tiny_world(steps=2), guidance=unguided if guide == 1 else cfg(guidance=3.0))
    (trajectory,) = run(world.call(ddim, pinned=pinned))
    blend = (world.call(latent),) if blends else ()
    facts = {"evaluations": 1, "guide": guide, "pinned": pinned != "never"}
    laws.rows_law(sample, world, facts=facts, trajectory=trajectory, attend=attend, blend=blend)


@pytest.mark.parametrize("method", [ddim, diffedit])
def test_a_stage_gives_the_same_bits_in_any_company(method):
    world = tiny_world(steps=3)
    laws.batch_law(
        lambda i: world.neighbour(i).call(method), company=[lambda i: world.neighbour(9 + i).call(both_prompts)]
    )


async def both_prompts(latents: Latents, model: Denoiser, schedule: Schedule, edit: Edit):
    """Company that asks for two rows at once."""
    level = schedule.steps[0].noisy
    return await together(a=model(latents.data, level, edit.source), b=model(latents.data, level, edit.target))


def test_what_the_cards_say_is_what_is_registered():
    laws.cards_law("retouch_methods")


class TestALawThatIsBroken:
    """Each law has to be able to fail."""

    def test_by_a_control_that_moves_equal_rows(self):
        def louder(attn):
            for row in attn.rows("cond"):
                attn.q[row] *= 1.1

        control = AttentionControl(((replace(p2p().acts[1][0], access="transform", what="q"), louder),))
        with pytest.raises(AssertionError, match="equal rows differ"):
            laws.identity_law(lambda: control)

    def test_by_a_control_that_touches_rows_it_does_not_name(self):
        def all_rows(attn):
            attn.k[:] = attn.k.flip(0).clone()

        control = AttentionControl(((p2p().acts[1][0], all_rows),))
        with pytest.raises(AssertionError, match="no touch names it"):
            laws.touch_law(lambda: control)

    def test_by_a_blend_of_the_picture_alone(self):
        def first_only(mask: Mask):
            def apply(state, source, step, maps):
                return torch.stack((torch.lerp(source[0], state[0], mask.data.to(state)), state[1]))

            return Blend(apply)

        with pytest.raises(AssertionError, match="mask 0 at step 0"):
            laws.blend_law(first_only)

    def test_by_a_mask_above_one(self):
        with pytest.raises(AssertionError, match="goes up to 2"):
            laws.mask_law(lambda: Mask(torch.full((8, 8), 2.0), scale=4))

    def test_by_a_mask_of_another_size(self):
        with pytest.raises((AssertionError, ValueError)):
            laws.mask_law(lambda: Mask(torch.ones(7, 8), scale=4))

    def test_by_a_mask_that_does_not_read_its_edit(self):
        def everything(edit: Edit) -> Mask:
            return Mask(torch.ones(8, 8), scale=4)

        with pytest.raises(AssertionError, match=r"100\.0% is masked"):
            laws.mask_law(everything)

    def test_by_guidance_that_is_not_affine(self):
        async def squared(model, x, level, prompt, negative):
            pred = await model(x, level, prompt)
            return Prediction(pred.pair**2)

        with pytest.raises(AssertionError, match="not affine"):
            laws.guidance_law(squared)

    def test_by_a_neutral_scale_that_is_not(self):
        with pytest.raises(AssertionError, match="neutral"):
            laws.guidance_law(cfg(guidance=7.5), neutral=cfg(guidance=0.0))

    def test_by_an_inversion_whose_source_drifts(self):
        with pytest.raises(AssertionError, match="the source branch misses"):
            laws.source_law(ddim, pinned="never")

    def test_by_a_stage_that_costs_more_than_it_says(self):
        @stage("a", "b", rows=1)
        async def two(latents: Latents, model: Denoiser, schedule: Schedule, edit: Edit):
            return await both_prompts(latents, model, schedule, edit)

        with pytest.raises(AssertionError, match="2 were evaluated"):
            laws.rows_law(two, gaussian_world())

    def test_by_a_stage_that_looks_at_its_company(self):
        seen = []

        async def counting(i):
            seen.append(i)
            return torch.tensor(float(len(seen)))

        with pytest.raises(AssertionError, match="company changes the result"):
            laws.batch_law(counting)
