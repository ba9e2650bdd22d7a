"""On flow: every inversion, guidance, control and blend keeps its law, and the walks miss by what their order says."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from itertools import pairwise

import pytest
import torch

from retouch.api import Ddim, DpmPlusPlus2M, Heun, Mask, Schedule, predictor
from retouch.run.executor import run
from retouch.testing import laws
from retouch.testing.tiny import Draws
from retouch.testing.worlds import gaussian_world, tiny_world
from retouch_methods.attend.background import background
from retouch_methods.attend.masactrl import masactrl
from retouch_methods.attend.p2p import p2p
from retouch_methods.attend.pnp_features import pnp_features
from retouch_methods.blend.latent import latent
from retouch_methods.guide.cfg import cfg
from retouch_methods.guide.distilled import distilled
from retouch_methods.guide.norm import norm
from retouch_methods.guide.pix2pix_zero import pix2pix_zero
from retouch_methods.guide.proximal import proximal
from retouch_methods.invert.cycle_diffusion import cycle_diffusion
from retouch_methods.invert.ddim import ddim
from retouch_methods.invert.direct import direct
from retouch_methods.invert.edict import Edict, edict
from retouch_methods.invert.edit_friendly import edit_friendly
from retouch_methods.invert.fireflow import KeptMidpoint, fireflow
from retouch_methods.invert.fixed_point import fixed_point
from retouch_methods.invert.flowedit import flowedit
from retouch_methods.invert.negative_prompt import negative_prompt
from retouch_methods.invert.null_text import null_text
from retouch_methods.invert.pnp_inversion import pnp_inversion
from retouch_methods.invert.rf_inversion import rf_inversion
from retouch_methods.invert.rf_solver import Taylor, rf_solver
from retouch_methods.invert.sdedit import sdedit
from retouch_methods.invert.uniinv import uniinv
from retouch_methods.mask.diffedit import diffedit
from retouch_methods.sample.sample import sample

WORLD = gaussian_world("flow", steps=12)
CURVED = gaussian_world("flow", apart=0.3)  # between two pictures, which the empty prompt does not tell apart
# How far the replay may miss on the analytic flow, in 12 steps.
INVERSIONS = {
    "ddim": (ddim, 0.14),
    "ddim fixed_point": (partial(ddim, convention="fixed_point", iterations=40), 1e-14),
    "fixed_point": (fixed_point, 1e-14),
    "edict": (partial(edict, strength=1.0), 1e-14),
    "edit_friendly": (partial(edit_friendly, source_guidance=1.0, strength=1.0), 1e-14),
    "cycle_diffusion": (partial(cycle_diffusion, strength=1.0), 1e-14),
    "pnp_inversion": (pnp_inversion, 0.14),
    "negative_prompt": (negative_prompt, 0.14),
    "null_text": (partial(null_text, inner_steps=3), 0.14),
    "direct": (partial(direct, share=1.0, injected=1000, noise="step"), 1e-14),
    "direct, as it is": (direct, math.inf),
    "sdedit": (sdedit, math.inf),
    "rf_solver": (rf_solver, 4e-4),
    "fireflow": (fireflow, 3e-3),
    "uniinv": (uniinv, 0.015),
    "rf_inversion": (partial(rf_inversion, eta=1.0, until=1.0), 1e-14),
    "rf_inversion, as it is": (rf_inversion, math.inf),
    "flowedit": (partial(flowedit, source_guidance=1.0), 0.0),
}


@pytest.mark.parametrize("name", INVERSIONS)
def test_the_source_branch_ends_at_the_picture_and_the_replay_gives_it_back(name):
    """The first of all is exact, since a blend alone puts the source back."""
    invert, most = INVERSIONS[name]
    laws.source_law(invert, WORLD)
    assert math.isfinite(laws.replay_law(invert, WORLD, tolerance=most))


@pytest.mark.parametrize(("steps", "missed"), [(10, 0.161), (20, 0.082), (40, 0.042), (80, 0.021)])
def test_ddim_misses_on_flow_by_what_a_held_velocity_misses(steps, missed):
    """With the noise held in place of the velocity it is 0.569, 0.385, 0.239 and 0.140, and the first step still."""
    world = gaussian_world("flow", steps=steps)
    assert laws.replay_law(ddim, world, tolerance=1.0) == pytest.approx(missed, abs=0.0006)


@pytest.mark.parametrize(
    ("rule", "order"), [(Ddim(), 1), (Heun(), 2), (Taylor(), 2), (Taylor(ahead=0.9), 2), (KeptMidpoint(), 1.7)]
)
def test_a_rule_has_its_order_on_a_curved_flow(rule, order):
    """Halving the steps leaves 2**order times the error."""
    predict = predictor(CURVED.guidance, CURVED.model, CURVED.edit.negative, CURVED.edit.negative)

    async def down(rule, steps):
        state = rule.begin(Draws(7, torch.float64).tensor(*CURVED.latents.data.shape))
        for step in Schedule.flow(steps):
            state = await rule(state, step, predict)
        return state[0]

    goal, *ends = run(down(Taylor(), 600), *(down(rule, steps) for steps in (20, 40, 80)))
    errors = [float((end - goal).abs().max()) for end in ends]
    measured = [math.log2(more / less) for more, less in pairwise(errors)]
    assert sum(measured) / 2 == pytest.approx(order, abs=0.2)


@pytest.mark.parametrize("rule", [Ddim(), Heun(), DpmPlusPlus2M(), Edict(), Taylor(), KeptMidpoint()])
def test_any_rule_held_to_random_states_replays_them(rule):
    laws.rule_law(rule, tiny_world("flow", steps=4, dtype=torch.float64), tolerance=1e-9)


@pytest.mark.parametrize("control", [p2p, masactrl, pnp_features, partial(background, start=0.0)])
def test_controls_on_flow_keep_equal_rows_equal_and_other_rows_untouched(control):
    world = tiny_world("flow")
    laws.identity_law(control, world, tolerance=1e-5)
    laws.touch_law(control, world)


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "flow"])
def test_where_nothing_is_to_change_flowedit_gives_the_picture_bit_for_bit(kind):
    """Under one guidance for both prompts."""
    world = replace(tiny_world(kind), guidance=cfg(guidance=3.0)).null_edit()
    (made,) = run(world.call(flowedit, source_guidance=3.0, strength=1.0))
    (again,) = run(world.call(sample, trajectory=made))
    assert torch.equal(again.data, world.latents.data)


def half(world):
    area = torch.zeros_like(world.mask.data)
    area[:, :4] = 1
    return replace(world, mask=Mask(area, 4))


@pytest.mark.crossed
@pytest.mark.parametrize("invert", [partial(ddim, pinned="always"), flowedit, partial(rf_solver, pinned="always")])
@pytest.mark.parametrize("controls", [(), (p2p,), (background,), (masactrl,)])
def test_outside_a_mask_nothing_changes_whatever_controls_there_are(invert, controls):
    world = half(replace(tiny_world("flow", steps=3), guidance=cfg(guidance=2.0)))
    (made,) = run(world.call(invert))
    attend = tuple(world.call(control) for control in controls)
    (edited,) = run(world.call(sample, trajectory=made, attend=attend, blend=(world.call(latent),)))
    outside = world.mask.on(world.latents) == 0
    assert torch.equal(edited.data[:, outside], world.latents.data[:, outside])
    assert not torch.allclose(edited.data[:, ~outside], world.latents.data[:, ~outside], atol=1e-2)


def test_the_background_is_seen_by_what_is_inside_the_mask():
    world = half(replace(tiny_world("flow", steps=3), guidance=cfg(guidance=2.0)))
    (made,) = run(world.call(ddim, pinned="always"))

    def edited(*attend):
        return run(world.call(sample, trajectory=made, attend=attend, blend=(world.call(latent),)))[0].data

    shared, alone = edited(world.call(background)), edited()
    assert (shared - alone).abs().max() > 1e-5
    whole = replace(world, mask=Mask(torch.ones_like(world.mask.data), 4))
    within, without = (
        run(whole.call(sample, trajectory=made, attend=attend))[0].data for attend in ((whole.call(background),), ())
    )
    assert torch.allclose(within, without, atol=1e-5)


def test_controls_of_flowedit_act_on_the_edit_alone():
    """The source's own prediction beside the edit keeps its maps, so it is what it is without a control."""
    world = replace(tiny_world("flow", steps=2), guidance=cfg(guidance=2.0))
    (made,) = run(world.call(flowedit, strength=1.0))
    seen = []

    async def spied(x, level, *, prompt=None, negative=None):
        seen.append(await made.rule.source(x, level, prompt=prompt, negative=negative))
        return seen[-1]

    spying = replace(made, rule=replace(made.rule, source=spied))
    run(world.call(sample, trajectory=spying, attend=(world.call(p2p), world.call(masactrl, start=1.0))))
    with_control, seen = seen, []
    spying = replace(made, rule=replace(made.rule, source=spied))
    run(world.call(sample, trajectory=spying))
    for one, two in zip(with_control[::2], seen, strict=True):
        assert torch.allclose(one.pair, two.pair, atol=1e-5)


@pytest.mark.parametrize("guidance", [proximal, norm])
@pytest.mark.parametrize("invert", [ddim, flowedit])
def test_guidances_on_flow_are_finite_from_noise_alone(guidance, invert):
    world = tiny_world("flow", steps=3)
    made = world.call(guidance)
    made = run(made)[0] if hasattr(made, "send") else made
    world = replace(world, guidance=made)
    (trajectory,) = run(world.call(invert))
    assert torch.isfinite(run(world.call(sample, trajectory=trajectory))[0].data).all()


def test_diffedit_finds_a_mask_on_flow_that_is_empty_where_nothing_changes():
    assert 0 < laws.mask_law(diffedit, tiny_world("flow"), threshold=0.35).data.mean() < 1


def test_the_norm_guidance_keeps_what_all_rows_agree_on_and_its_length():
    """It is not affine: only its direction is classifier-free guidance's."""
    world = tiny_world("flow", dtype=torch.float64)
    x, level, edit = world.latents.data, world.schedule.steps[1].noisy, world.edit
    kept, cond = run(
        norm(guidance=7.0)(world.model, x, level, edit.target, edit.target),
        world.model(x, level, edit.target),
    )
    assert torch.allclose(kept.pair, cond.pair, atol=1e-9)
    guided, plain = run(*(g(guidance=7.0)(world.model, x, level, edit.target, edit.negative) for g in (norm, cfg)))
    whole, *_ = run(norm(guidance=7.0, patch=8)(world.model, x, level, edit.target, edit.negative))
    assert whole.velocity.norm() == pytest.approx(float(cond.velocity.norm()))
    assert torch.cosine_similarity(whole.velocity.flatten(), plain.velocity.flatten(), 0) > 1 - 1e-9
    assert not torch.allclose(guided.velocity, whole.velocity)


def test_a_distilled_guidance_is_told_in_one_row():
    world, asked = tiny_world("flow"), []

    async def model(x, level, prompt, *, timestep=None, role="cond", told=None):
        asked.append((prompt.text, role, told))
        return await world.model(x, level, prompt)

    x, level, edit = world.latents.data, world.schedule.steps[1].noisy, world.edit
    run(distilled(guidance=5.5)(model, x, level, edit.target, edit.negative))
    assert asked == [(edit.target.text, "cond", {"guidance": 5.5})]


ROWS = [
    (flowedit, {}, 0),
    (rf_solver, {"strength": 0.5}, 2 * 3),
    (rf_solver, {"source_guidance": 2.0}, 2 * 2 * 6),
    (fireflow, {}, 7),
    (fireflow, {"strength": 0.0}, 0),
    (uniinv, {"strength": 0.5}, 4),
    (uniinv, {"first": "still", "source_guidance": 2.0}, 12),
    (rf_inversion, {}, 6),
]


@pytest.mark.parametrize(("invert", "options", "rows"), ROWS)
def test_inversions_cost_what_they_say(invert, options, rows):
    assert laws.rows_law(invert, tiny_world("flow", steps=6), **options) == rows


SAMPLED = [
    (flowedit, {"strength": 1.0, "source_guidance": 1.0}, {"evaluations": 1, "beside": 1}, 6 * 3),
    (flowedit, {"strength": 0.5, "average": 2}, {"evaluations": 2, "beside": 4}, 3 * 8),
    (flowedit, {"strength": 1.0, "average": 2, "until": 0.5}, {"evaluations": 1.5, "beside": 2}, 3 * 8 + 3 * 2),
    (fireflow, {}, {"evaluations": 1 + 1 / 6}, 14),
    (rf_solver, {}, {"evaluations": 2}, 24),
]


@pytest.mark.parametrize(("invert", "options", "facts", "rows"), SAMPLED)
def test_edits_cost_what_the_inversion_states(invert, options, facts, rows):
    world = replace(tiny_world("flow", steps=6), guidance=cfg(guidance=2.0))
    (made,) = run(world.call(invert, **options))
    given = {**facts, "steps": len(made.schedule), "guide": 2, "pinned": True}
    assert laws.rows_law(sample, world, facts=given, trajectory=made) == rows


@pytest.mark.parametrize(
    ("invert", "options", "asked"),
    [(rf_solver, {}, 4), (rf_solver, {"ahead": 1.0}, 4), (fireflow, {}, 3)],
)
def test_pix2pix_zero_moves_the_latents_between_two_steps_as_at_them(invert, options, asked):
    """The source's maps are known at the steps; a solver of second order asks between them too."""
    world = tiny_world("flow", steps=2)
    (guide,) = run(world.call(pix2pix_zero))
    world = replace(world, guidance=guide)
    (made,) = run(world.call(invert, **options))
    facts = {"steps": 2, "guide": 3, "evaluations": asked / 2, "pinned": True}
    assert laws.rows_law(sample, world, facts=facts, trajectory=made) == asked * 3


@pytest.mark.parametrize("invert", [flowedit, rf_solver, fireflow, uniinv, rf_inversion])
def test_an_inversion_gives_the_same_bits_in_any_company(invert):
    world = replace(tiny_world("flow", steps=2), guidance=cfg(guidance=2.0))
    laws.batch_law(lambda i: edited(world.neighbour(i), invert), company=[lambda i: world.neighbour(9 + i).call(ddim)])


async def edited(world, invert):
    return await world.call(sample, trajectory=await world.call(invert))


OTHER = [
    (rf_solver, {"ahead": 0.9}),
    (rf_solver, {"source_guidance": 2.0}),
    (rf_solver, {"strength": 0.5}),
    (rf_solver, {"pinned": "never"}),
    (fireflow, {"source_guidance": 2.0}),
    (fireflow, {"strength": 0.5}),
    (fireflow, {"pinned": "never"}),
    (rf_inversion, {"gamma": 0.7}),
    (rf_inversion, {"eta": 0.5}),
    (rf_inversion, {"start": 0.25}),
    (rf_inversion, {"until": 0.75}),
    (rf_inversion, {"words": "source"}),
    (rf_inversion, {"pinned": "never"}),
]


@pytest.mark.parametrize(("invert", "option"), OTHER)
def test_every_option_of_a_method_of_flows_changes_the_result(invert, option):
    """Under half a mask, whose outside shows what becomes of the source.  tests/e2e has the other methods' options."""
    world = half(replace(tiny_world("flow", steps=4), guidance=cfg(guidance=2.0)))
    blend = (world.call(latent),)

    async def edited(**options):
        made = await world.call(invert, **options)
        return (await world.call(sample, trajectory=made, blend=blend)).data

    plain, changed = run(edited(), edited(**option))
    assert not torch.equal(plain, changed)


def test_the_options_above_are_all_there_are():
    tried = {(invert, name) for invert, option in OTHER for name in option}
    assert tried == {(invert, name) for invert, _ in tried for name in invert.__kwdefaults__}
