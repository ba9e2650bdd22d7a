"""Inversions that walk once, or not at all, keep the laws of their family and what each declares."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import torch

from retouch.run.executor import Executor, run
from retouch.run.task import Task
from retouch.testing import laws
from retouch.testing.worlds import gaussian_world, tiny_world
from retouch_methods.guide.cfg import cfg
from retouch_methods.guide.proximal import proximal
from retouch_methods.invert.ddim import ddim
from retouch_methods.invert.direct import direct
from retouch_methods.invert.negative_prompt import negative_prompt
from retouch_methods.invert.null_text import null_text
from retouch_methods.invert.pnp_inversion import pnp_inversion
from retouch_methods.invert.sdedit import sdedit
from retouch_methods.sample.sample import sample

STEPS, SCALE = 5, 3.0
WORLDS = [("epsilon", torch.float32), ("v_prediction", torch.float64)]
worlds = pytest.mark.parametrize(("kind", "dtype"), WORLDS)
# Options under which an inversion promises the source where nothing is to change: all that was missed is recorded.
EXACT = {
    "pnp_inversion": partial(pnp_inversion, edited="offset"),
    "direct": partial(direct, share=1.0, injected=1000, noise="step"),
}


def guided(kind="epsilon", dtype=torch.float32, scale=SCALE, steps=STEPS):
    return replace(tiny_world(kind, steps=steps, dtype=dtype), guidance=cfg(guidance=scale))


def replay(world, invert, **options):
    world = world.null_edit()
    (made,) = run(world.call(invert, **options))
    return run(world.call(sample, trajectory=made))[0].data


@worlds
@pytest.mark.parametrize("name", EXACT)
def test_what_records_all_that_it_missed_gives_the_source_back(name, kind, dtype):
    tolerance = 2e-4 if dtype == torch.float32 else 1e-11
    laws.replay_law(EXACT[name], guided(kind, dtype), tolerance=tolerance)
    laws.replay_law(EXACT[name], replace(gaussian_world(dtype=dtype), guidance=cfg(guidance=7.5)), tolerance=tolerance)


@worlds
@pytest.mark.parametrize(
    "invert", [pnp_inversion, sdedit, partial(sdedit, eta=1.0, draws="each"), EXACT["pnp_inversion"]]
)
def test_the_source_branch_ends_at_the_picture_bit_for_bit(invert, kind, dtype):
    if invert is not EXACT["pnp_inversion"] or dtype == torch.float64:
        tolerance = 1e-12 if invert is EXACT["pnp_inversion"] else 0.0  # its offsets are added, so they round
        laws.source_law(invert, guided(kind, dtype), tolerance=tolerance)
        laws.source_law(invert, gaussian_world(dtype=dtype), tolerance=tolerance)


@worlds
@pytest.mark.parametrize("scale", [1.5, 7.5])
def test_with_the_source_as_negative_prompt_guidance_cancels(kind, dtype, scale):
    """The replay is DDIM's without guidance, whatever the scale: that is its declared tolerance."""
    replayed, wanted = replay(guided(kind, dtype, scale), negative_prompt), replay(guided(kind, dtype, 1.0), ddim)
    torch.testing.assert_close(replayed, wanted, rtol=0, atol=1e-3 if dtype == torch.float32 else 1e-10)
    world = replace(gaussian_world(apart=0.1, dtype=dtype), guidance=cfg(guidance=scale))
    plain = replay(replace(world, guidance=cfg(guidance=1.0)), ddim)
    torch.testing.assert_close(
        replay(world, negative_prompt), plain, rtol=0, atol=1e-4 if dtype == torch.float32 else 1e-12
    )
    assert (replay(world, ddim) - plain).abs().max() > 1e-3


def test_turned_back_to_the_empty_prompt_it_is_ddim():
    replayed = replay(guided(), negative_prompt, interpolation=1.0)
    torch.testing.assert_close(replayed, replay(guided(), ddim), rtol=0, atol=1e-3)


def test_noise_alone_promises_nothing_back():
    """The declared tolerance of q-sampling is none: the replay is another picture."""
    world = gaussian_world(steps=20)
    missed = (replay(world, sdedit, strength=0.8) - world.latents.data).abs().max()
    assert missed > 0.3
    assert torch.equal(replay(world, sdedit, strength=0.0), world.latents.data)


def test_a_share_of_the_offset_puts_the_source_back_by_that_share():
    world = replace(gaussian_world(apart=0.1), guidance=cfg(guidance=SCALE))
    options = [{"scale": 0.0}, {"scale": 0.5}, {"every": 2}, {"scale": 1.0}]
    made = run(*(world.call(pnp_inversion, **each) for each in options))
    none, half, second, all_ = (float((each.states[-1, 0] - world.latents.data).norm()) for each in made)
    assert none > half > all_ == 0
    assert none > second > 0


def test_a_pull_of_nothing_is_plain_sampling():
    world = guided()
    for options in ({"share": 0.0}, {"injected": 0}):
        (made,) = run(world.call(direct, words="source", **options))
        (plain,) = run(world.call(ddim, convention="source"))
        edits = [run(world.call(sample, trajectory=each))[0].data for each in (made, plain)]
        torch.testing.assert_close(edits[0], edits[1], rtol=0, atol=1e-3)


@pytest.mark.thorough
def test_guided_inversion_comes_back_only_under_its_own_guidance():
    """What the option's docstring warns of."""
    world = replace(gaussian_world(steps=50, apart=0.1), guidance=cfg(guidance=SCALE))
    options = {"convention": "fixed_point", "iterations": 40, "source_guidance": SCALE}
    assert laws.replay_law(ddim, world, tolerance=1e-9, **options) <= 1e-9
    unguided = replace(world, guidance=cfg(guidance=1.0))
    plain, raised = (laws.replay_law(ddim, unguided, tolerance=9, source_guidance=scale) for scale in (1.0, SCALE))
    assert raised > 1.5 * plain


def test_null_text_without_guidance_has_nothing_to_tune():
    world = guided(scale=1.0)
    (made,) = run(world.call(null_text))
    assert all(torch.equal(prompt.embeds, world.edit.negative.embeds) for prompt in made.rule.negatives)
    assert laws.rows_law(null_text, world, facts={"guide": 1}) == 2 * STEPS


ROWS = [
    (ddim, {}, 1),
    (ddim, {"source_guidance": 2.0, "strength": 0.6}, 2),
    (ddim, {"source_guidance": 2.0, "convention": "fixed_point", "iterations": 2}, 6),
    (negative_prompt, {"strength": 0.6}, 1),
    (pnp_inversion, {}, 1),
    (pnp_inversion, {"scale": 0.5}, 5),
    (pnp_inversion, {"edited": "offset"}, 5),
    (direct, {"grid": "official"}, 1),
    (sdedit, {}, 0),
    (null_text, {"inner_steps": 10, "stop": 1.0}, 14),
]


@pytest.mark.parametrize(("invert", "options", "most"), ROWS)
def test_rows_are_those_declared_and_no_more_than_the_surveys(invert, options, most):
    """`most` a step: methods.md 16.3."""
    assert laws.rows_law(invert, guided(), facts={"guide": 2}, **options) <= most * STEPS


@pytest.mark.parametrize("invert", [negative_prompt, pnp_inversion, EXACT["pnp_inversion"], direct, sdedit])
def test_an_inversion_gives_the_same_bits_in_any_company(invert):
    world = guided(scale=2.0, steps=2)
    laws.batch_law(lambda i: world.neighbour(i).call(invert), company=[lambda i: world.neighbour(9 + i).call(ddim)])


@pytest.mark.parametrize("invert", [ddim, negative_prompt, sdedit])
@pytest.mark.parametrize("strength", [0.0, 0.58])
def test_a_walk_is_as_long_as_its_strength(invert, strength):
    world = gaussian_world(steps=50)
    (made,) = run(world.call(invert, strength=strength))
    assert len(made.schedule) == round(50 * strength)
    if not strength:
        assert torch.equal(run(world.call(sample, trajectory=made))[0].data, world.latents.data)


@pytest.mark.parametrize("norm", ["l0", "l1", "l1_official"])
def test_proximal_guidance_keeps_what_both_rows_agree_on(norm):
    """It is not affine, by its nature; where the rows agree there is nothing to threshold."""
    world = guided()
    (guide,) = run(world.call(proximal, norm=norm))
    x, level = world.latents.data, world.schedule.steps[0].noisy
    (same,) = run(guide(world.model, x, level, world.edit.source, world.edit.source))
    (alone,) = run(world.model(x, level, world.edit.source))
    torch.testing.assert_close(same.pair, alone.pair, rtol=0, atol=1e-4)
    task = Task(lambda: guide(world.model, x, level, world.edit.source, world.edit.negative))
    Executor().run([task])
    assert task.rows == 2
