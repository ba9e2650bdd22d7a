"""Windows are of the steps that are taken: for every control, blend and guidance, after inversions of less strength."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import torch

from retouch.api import AttentionControl, Blend, Ddim, Mask, Touch, Trajectory, predictor, together
from retouch.run.executor import Executor, run
from retouch.run.task import Task
from retouch.testing.tiny import schedule
from retouch.testing.worlds import tiny_world
from retouch_methods.attend.masactrl import masactrl
from retouch_methods.attend.p2p import p2p
from retouch_methods.attend.pnp_features import pnp_features
from retouch_methods.blend.latent import latent
from retouch_methods.blend.local import local
from retouch_methods.guide.cfg import cfg
from retouch_methods.guide.semantic import semantic
from retouch_methods.invert.cycle_diffusion import cycle_diffusion
from retouch_methods.invert.ddim import ddim
from retouch_methods.invert.direct import direct
from retouch_methods.invert.edict import edict
from retouch_methods.invert.edit_friendly import edit_friendly
from retouch_methods.invert.fixed_point import fixed_point
from retouch_methods.invert.negative_prompt import negative_prompt
from retouch_methods.invert.sdedit import sdedit
from retouch_methods.sample.sample import sample

STEPS, TAKEN = 8, 4
WORLD = replace(tiny_world(steps=STEPS, dtype=torch.float64), guidance=cfg(guidance=3.0))
SHORTENED = [sdedit, edit_friendly, edict, cycle_diffusion, *(partial(m, pinned="always") for m in (ddim, fixed_point))]
HALF = {
    "p2p words": partial(p2p, cross_replace=0.5, self_replace=0.0),
    "p2p pixels": partial(p2p, cross_replace=0.0, self_replace=0.5),
    "p2p named words": partial(p2p, cross_replace=0.0, self_replace=0.0, words=("dog",), word_replace=(0.5,)),
    "pnp layout": partial(pnp_features, layout=0.5, features=0.0),
    "pnp features": partial(pnp_features, layout=0.0, features=0.5),
    "masactrl": partial(masactrl, start=0.5),
}
ALWAYS = {
    "p2p words": partial(p2p, cross_replace=1.0, self_replace=0.0),
    "p2p pixels": partial(p2p, cross_replace=0.0, self_replace=1.0),
    "p2p named words": partial(p2p, cross_replace=0.0, self_replace=0.0, words=("dog",), word_replace=(1.0,)),
    "pnp layout": partial(pnp_features, layout=1.0, features=0.0),
    "pnp features": partial(pnp_features, layout=0.0, features=1.0),
    "masactrl": partial(masactrl, start=0.0),
}


def walked(trajectory: Trajectory, *, attend=(), blend=(), world=WORLD):
    return run(world.call(sample, trajectory=trajectory, attend=attend, blend=blend))[0].data


def by_hand(trajectory: Trajectory, controls: dict[int, tuple[AttentionControl, ...]]):
    """The walk, step by step, with the controls that are named for a step."""
    edit, x = WORLD.edit, trajectory.states[0]
    to_source, to_target = (
        predictor(WORLD.guidance, WORLD.model, toward, edit.negative) for toward in (edit.source, edit.target)
    )
    for step in trajectory.schedule:
        branches = {
            "source": trajectory.rule(trajectory.states[step.index], step, to_source),
            "target": trajectory.rule(x, step, to_target),
        }
        (moved,) = run(together(attention=controls.get(step.index, ()), step=step, **branches))
        x = moved["target"]
    return x[0]


@pytest.mark.parametrize("name", HALF)
def test_half_of_a_shortened_walk_is_half_of_the_steps_that_it_takes(name):
    (made,) = run(WORLD.call(sdedit, strength=TAKEN / STEPS))
    assert len(made.schedule) == TAKEN
    half, always = WORLD.call(HALF[name]), (WORLD.call(ALWAYS[name]),)
    acts = (2, 3) if name == "masactrl" else (0, 1)
    found = walked(made, attend=(half,))
    torch.testing.assert_close(found, by_hand(made, dict.fromkeys(acts, always)), rtol=0, atol=1e-10)
    for other in ({}, {0: always}, {1: always}, dict.fromkeys(range(TAKEN), always)):
        assert (found - by_hand(made, other)).abs().max() > 1e-6


@pytest.mark.crossed
@pytest.mark.parametrize("invert", SHORTENED)
@pytest.mark.parametrize("control", [p2p, pnp_features, masactrl])
@pytest.mark.parametrize("strength", [0.5, *(pytest.param(each, marks=pytest.mark.bench) for each in (0.25, 0.75))])
def test_every_control_acts_after_every_shortened_inversion_on_its_own_defaults(invert, control, strength):
    (made,) = run(WORLD.call(invert, strength=strength))
    assert len(made.schedule) == strength * STEPS
    assert (walked(made, attend=(WORLD.call(control),)) - walked(made)).abs().max() > 1e-6


@pytest.mark.crossed
@pytest.mark.parametrize("steps", [1, 3, 4, 10, 50])
@pytest.mark.parametrize("strength", [0.3, 0.5, 0.64, 0.8, 1.0])
@pytest.mark.parametrize("fraction", [0.0, 0.2, 0.4, 0.5, 0.8, 1.0])
def test_a_window_holds_the_same_share_of_the_steps_at_any_strength(steps, strength, fraction):
    walk = schedule(steps).tail(strength)
    before = [step.index for step in walk if Touch("self", "read", "q", until=fraction).during(step.progress)]
    after = [step.index for step in walk if Touch("self", "read", "q", start=fraction).during(step.progress)]
    assert len(before) == -(-round(100 * fraction) * len(walk) // 100)
    assert before + after == list(range(len(walk)))


def seen_by(made: Trajectory, blend: Blend) -> list[int]:
    """The steps after which a blend is applied."""
    steps: list[int] = []

    def apply(state, source, step, maps):
        steps.append(step.index)
        return blend.apply(state, source, step, maps)

    walked(made, blend=(replace(blend, apply=apply),))
    return steps


@pytest.mark.parametrize(("start", "steps"), [(0.0, [0, 1, 2, 3]), (0.2, [1, 2, 3]), (0.5, [2, 3]), (0.75, [3])])
def test_local_blending_begins_after_its_share_of_the_steps_that_are_taken(start, steps):
    (made,) = run(WORLD.call(sdedit, strength=TAKEN / STEPS))
    assert seen_by(made, WORLD.call(local, start=start)) == steps


def test_a_mask_shrinks_over_the_steps_that_are_taken():
    """Four masks for four steps of eight: the widest first, the mask itself last."""
    point = torch.zeros(8, 8)
    point[3, 4] = 1
    (made,) = run(WORLD.call(sdedit, strength=TAKEN / STEPS))
    areas: list[int] = []
    blend = WORLD.call(latent, mask=Mask(point, 4), shrink=3)

    def apply(state, source, step, maps):
        ones, zeros = torch.ones_like(state), torch.zeros_like(state)
        areas.append(int(blend.apply(ones, zeros, step, maps)[0, 0].sum()))
        return blend.apply(state, source, step, maps)

    walked(made, blend=(replace(blend, apply=apply),))
    assert areas == [7 * 7, 5 * 5, 3 * 3, 1]


@pytest.mark.parametrize(("start", "until", "acts"), [(0.0, 0.5, [0, 1]), (0.5, 1.0, [2, 3]), (0.25, 0.75, [1, 2])])
def test_semantic_guidance_leads_within_its_share_of_the_steps_that_are_taken(start, until, acts):
    (made,) = run(WORLD.call(sdedit, strength=TAKEN / STEPS))
    options = {"scale": 1, "mask": "none", "guidance": 5.0}
    windowed, never = (
        run(WORLD.call(semantic, start=a, until=b, **options))[0] for a, b in ((start, until), (0.0, 0.0))
    )
    edit, x = WORLD.edit, WORLD.latents.data

    def eps(guide, step):
        return run(guide(WORLD.model, x, step.noisy, edit.target, edit.negative))[0].eps

    moved = [step.index for step in made.schedule if not torch.equal(eps(windowed, step), eps(never, step))]
    assert moved == acts


def rows_of(made: Trajectory, **given) -> int:
    task = Task(lambda: WORLD.call(sample, trajectory=made, **given))
    Executor().run([task])
    assert task.error is None
    return task.rows


def test_what_acts_at_no_step_costs_nothing():
    (made,) = run(WORLD.call(sdedit, strength=TAKEN / STEPS))
    idle = WORLD.call(p2p, cross_replace=0.0, self_replace=0.0)
    late, after = WORLD.call(masactrl, start=0.8), WORLD.call(local, start=0.9)
    plain = rows_of(made)
    assert rows_of(made, attend=(idle, late), blend=(after,)) == plain
    assert rows_of(made, attend=(WORLD.call(masactrl, start=0.75),)) == 2 * plain
    assert rows_of(made, blend=(WORLD.call(local, start=0.75),)) == 2 * plain


@pytest.mark.parametrize("invert", [negative_prompt, ddim])
def test_a_trajectory_that_walks_by_itself_has_the_same_windows(invert):
    (made,) = run(WORLD.call(invert, strength=TAKEN / STEPS))
    assert (walked(made, attend=(WORLD.call(p2p),)) - walked(made)).abs().max() > 1e-6


@pytest.mark.parametrize("injected", [1, 3])
def test_a_pull_holds_for_the_first_steps_that_are_taken(injected):
    (made,) = run(WORLD.call(direct, injected=injected))
    asked: list[int] = []

    async def predict(x, level, *, prompt=None, negative=None):
        return level.seen_as(x, torch.zeros_like(x))

    for step in made.schedule:
        pulled, plain = run(made.rule(made.states[0], step, predict), Ddim()(made.states[0], step, predict))
        if not torch.equal(pulled, plain):
            asked.append(step.index)
    assert asked == list(range(injected))
