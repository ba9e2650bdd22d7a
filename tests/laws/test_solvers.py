"""Solvers are rules: what they remember is in the state, so the same loop walks them."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from diffusers import DPMSolverMultistepScheduler

from retouch.api import Ddim, DpmPlusPlus2M, Heun, Level, Mask, Renoise, Schedule, Trajectory
from retouch.run.executor import run
from retouch.testing.worlds import gaussian_world, tiny_world
from retouch_methods.blend.latent import latent
from retouch_methods.guide.cfg import cfg
from retouch_methods.invert.ddim import ddim
from retouch_methods.sample.sample import sample
from tests.laws.by_hand import p2p


def walked(world, schedule, rule, **ports):
    """Where a rule ends that begins at the world's latents."""
    begun = rule.begin(world.latents.data)
    states = begun.expand(len(schedule) + 1, *begun.shape)
    return run(world.call(sample, trajectory=Trajectory(schedule, states, rule), **ports))[0].data


def even_log_snr(steps: int) -> Schedule:
    """Levels as multistep papers want them, from -3 to 3."""
    logs = [-3 + 6 * i / steps for i in range(steps + 1)]
    return Schedule.through([Level(0, (1 + math.exp(-2 * x)) ** -0.5, (1 + math.exp(2 * x)) ** -0.5) for x in logs])


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("steps", [6, 20])
def test_dpm_solver_plus_plus_is_that_of_diffusers(kind, steps):
    world = tiny_world(kind)
    theirs = DPMSolverMultistepScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", prediction_type=kind
    )
    theirs.set_timesteps(steps)
    levels = [
        Level(float(t), (1 + s * s) ** -0.5, s * (1 + s * s) ** -0.5)
        for t, s in zip(theirs.timesteps, theirs.sigmas.double().tolist(), strict=False)
    ]
    schedule = Schedule.through([*levels, Level(0, 1.0, 0.0)])
    x = world.latents.data[None]
    with torch.no_grad():
        for t in theirs.timesteps:
            asked = {"encoder_hidden_states": world.edit.target.embeds[None]}
            x = theirs.step(world.model.core.module(x, torch.tensor([float(t)]), **asked).sample, t, x).prev_sample
    mine = walked(world, schedule, DpmPlusPlus2M())
    assert (mine - x[0]).norm() <= 2e-6 * x.norm()


@pytest.mark.parametrize(("rule", "order"), [(Ddim(), 1), (Heun(), 2), (DpmPlusPlus2M(), 2)], ids=repr)
def test_a_solver_converges_with_its_order(rule, order):
    world = gaussian_world()
    target = replace(world.edit, target=world.edit.source)
    world = replace(world, edit=target)
    schedule = even_log_snr(20)
    wanted = world.model.core.flow(world.latents.data, schedule.levels[0], schedule.levels[-1], component=0)
    errors = [float((walked(world, even_log_snr(n), rule) - wanted).norm()) for n in (20, 40, 80)]
    for coarse, fine in pairwise(errors):
        assert math.log2(coarse / fine) == pytest.approx(order, abs=0.35)


def test_ddim_without_noise_is_euler_on_flow():
    world = tiny_world("flow", steps=8)
    x = world.latents.data[None]
    with torch.no_grad():
        for step in world.schedule:
            asked = {"encoder_hidden_states": world.edit.target.embeds[None]}
            velocity = world.model.core.module(x, torch.tensor([step.noisy.timestep]), **asked).sample
            x = x + (step.clean.sigma - step.noisy.sigma) * velocity
    assert (walked(world, world.schedule, Ddim()) - x[0]).norm() <= 1e-6 * x.norm()


def test_histories_of_two_pictures_never_meet():
    world = replace(tiny_world(steps=5), guidance=cfg(guidance=3.0))
    other, rule = world.neighbour(1), DpmPlusPlus2M()

    def edit(here):
        begun = rule.begin(here.latents.data)
        made = Trajectory(here.schedule, begun.expand(6, *begun.shape), rule)
        return here.call(sample, trajectory=made, attend=(p2p(),))

    (alone,), (among, _) = run(edit(world)), run(edit(world), edit(other))
    assert (alone.data - among.data).norm() <= 1e-5 * alone.data.norm()


def test_a_blend_covers_the_history_too():
    world, rule = tiny_world(steps=4), DpmPlusPlus2M()
    begun = rule.begin(world.latents.data)
    made = Trajectory(world.schedule, begun.expand(5, *begun.shape).clone(), rule)
    empty = world.call(latent, mask=Mask(torch.zeros(8, 8), scale=4))
    (kept,) = run(world.call(sample, trajectory=made, blend=(empty,)))
    (source,) = run(world.null_edit().call(sample, trajectory=made))
    assert (kept.data - source.data).norm() <= 1e-5 * source.data.norm()


def test_a_schedule_may_go_up_and_the_background_stays():
    """RePaint: each step is taken, undone by new noise, and taken again."""
    world = replace(tiny_world(steps=5), guidance=cfg(guidance=3.0))
    first, *others = world.schedule.levels
    path = [first]
    for level in others:
        path += [level, path[-1], level]
    jumps = Schedule.through(path)
    x0, draws = world.latents.data, world.noise.normal(len(path), like=world.latents.data)
    states = torch.stack([level.mix(x0, eps) for level, eps in zip(path[:-1], draws, strict=False)] + [x0])[:, None]
    made = Trajectory(jumps, states, Renoise(Ddim(), draws), pinned=True)
    half = (torch.arange(64).view(8, 8) % 2).float()
    (out,) = run(world.call(sample, trajectory=made, blend=(world.call(latent, mask=Mask(half, scale=4)),)))
    assert len(jumps) == 15
    assert torch.equal(out.data[:, half == 0], x0[:, half == 0])
    assert not torch.equal(out.data[:, half == 1], x0[:, half == 1])


def test_new_noise_has_the_variance_of_the_level_it_reaches():
    one, two = Level(300, 0.8, 0.6), Level(600, 0.6, 0.8)
    up = Schedule.through([one, two]).steps[0]
    noise = torch.randn(1, 64, 64, 64, generator=torch.Generator().manual_seed(0))
    x = one.mix(torch.full((64, 64, 64), 2.0), noise[0].flip(0))

    async def nothing(*_, **__):
        raise AssertionError("a step that goes up asks no network")

    (out,) = run(Renoise(Ddim(), noise)(x[None], up, nothing))
    assert float(out.mean()) == pytest.approx(2 * two.alpha, abs=0.01)
    assert float(out.std()) == pytest.approx(two.sigma, abs=0.01)


@pytest.mark.parametrize("strength", [0.0, 0.3, 0.58, 1.0])
def test_an_edit_of_less_strength_begins_nearer_to_the_picture(strength):
    world = gaussian_world(steps=50)
    (made,) = run(world.call(ddim, strength=strength))
    steps = round(50 * strength)
    assert len(made.schedule) == steps
    assert [step.index for step in made.schedule] == list(range(steps))
    assert [step.progress for step in made.schedule] == [i / steps for i in range(steps)]
