"""The certificate says what an inversion gives back, and a mistake of one step turns it red."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import Tensor

from retouch.api import Ddim, Denoiser, Latents, Mask, NegativePrompt, Schedule, SourcePrompt, Trajectory, Unmet
from retouch.run.executor import run
from retouch.testing import laws
from retouch.testing.tiny import Draws
from retouch.testing.worlds import gaussian_world, tiny_world
from retouch_methods.guide.cfg import cfg
from retouch_methods.invert.cycle_diffusion import cycle_diffusion
from retouch_methods.invert.ddim import ddim
from retouch_methods.invert.edict import edict
from retouch_methods.invert.sdedit import sdedit
from retouch_methods.require.certificate import cycle, gaussian, psnr, whiteness_error


class Plain:
    """A codec that shows the first three channels, a cell as a pixel."""

    scale = 1

    def decode(self, latents: Tensor) -> Tensor:
        return latents[:, :3] / 8 + 0.5


def asked(require, world, trajectory, **options):
    """What a requirement gives back."""
    given = {"codec": Plain()} if require is psnr else {}
    canvas = replace(world.latents.canvas, height=8, width=8, scale=1)
    world = replace(world, latents=replace(world.latents, canvas=canvas))
    made = world.call(require, trajectory=trajectory, **given, **options)
    return run(made)[0]


def made_by(world, invert, **options):
    return run(world.call(invert, **options))[0]


solved = partial(ddim, convention="fixed_point", iterations=20)
FLOORS = [(psnr, {"min_": 40.0}), (cycle, {"max_": 0.02})]


@pytest.mark.parametrize(("require", "floor"), FLOORS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_exact_inversion_passes_and_its_trajectory_goes_on_unchanged(require, floor, dtype):
    world = replace(tiny_world("v_prediction", steps=4, dtype=dtype), guidance=cfg(guidance=3.0))
    trajectory = made_by(world, edict)
    found = asked(require, world, trajectory, **floor)
    assert found.states is trajectory.states
    assert found.rule is trajectory.rule
    assert list(found.certificate) == [require.__name__]


@pytest.mark.parametrize(("require", "floor"), FLOORS)
def test_what_misses_the_floor_says_by_how_much(require, floor):
    world = gaussian_world(steps=10)
    with pytest.raises(Unmet) as unmet:
        asked(require, world, made_by(world, sdedit), **floor)
    assert unmet.value.metric == require.__name__
    assert unmet.value.wanted == ("40 dB or more" if require is psnr else "0.02 or less")
    assert float(unmet.value.value.split()[0]) > 0


async def a_step_late(latents: Latents, prompt: SourcePrompt, model: Denoiser, schedule: Schedule) -> Trajectory:
    """DDIM inversion with one mistake: each step is told, and is read at, the level of the step after it."""
    x, path = latents.data, [latents.data]
    for step in schedule.ascending():
        pred = await model(x, step.before or step.noisy, prompt)
        x = step.uncarry(x, pred)
        path.append(x)
    return Trajectory(schedule, torch.stack(path[::-1])[:, None], Ddim())


async def a_list_short(latents: Latents, prompt: SourcePrompt, model: Denoiser, schedule: Schedule) -> Trajectory:
    """A solved inversion whose list lacks its noisiest latent, so that sampling begins a step late."""
    made = await solved(latents, prompt, NegativePrompt("", prompt.embeds), model, schedule)
    return replace(made, states=torch.cat((made.states[1:], made.states[-1:])))


@pytest.mark.parametrize(
    ("right", "planted", "decibels", "share"), [(ddim, a_step_late, 40.0, 0.07), (solved, a_list_short, 60.0, 1e-3)]
)
def test_an_off_by_one_timestep_turns_the_certificate_red(right, planted, decibels, share):
    world = gaussian_world(steps=25)
    for require, floor in ((psnr, {"min_": decibels}), (cycle, {"max_": share})):
        asked(require, world, made_by(world, right), **floor)
        with pytest.raises(Unmet):
            asked(require, world, made_by(world, planted), **floor)


def test_equal_pictures_are_infinitely_near():
    world = gaussian_world(steps=4)
    trajectory = made_by(world, ddim, strength=0.0)
    assert asked(psnr, world, trajectory, min_=120.0).certificate == {"psnr": "inf dB"}
    assert asked(cycle, world, trajectory, max_=0.0).certificate == {"cycle": "0"}


def test_the_floor_is_of_the_replay_and_not_of_a_source_row_that_is_put_back():
    world = replace(gaussian_world(steps=10, apart=0.1), guidance=cfg(guidance=7.5))
    with pytest.raises(Unmet):
        asked(cycle, world, made_by(world, ddim, pinned="always"), max_=0.1)


def test_values_that_are_no_numbers_meet_no_floor():
    world = gaussian_world(steps=4)
    broken = made_by(world, ddim)
    broken = replace(broken, states=broken.states * math.nan)
    for require in (psnr, cycle, gaussian):
        with pytest.raises(Unmet):
            asked(require, world, broken)


def test_noise_is_gaussian_and_what_is_not_noise_is_not():
    noise = Draws(0, torch.float64).tensor(4, 16, 16)
    assert whiteness_error(noise) < 0.02
    for spoilt in (noise * 1.5, noise + 0.5, noise.sign(), noise.repeat_interleave(2, -1)[..., :16], noise * 0):
        assert whiteness_error(spoilt) > 0.1
    assert whiteness_error(noise * 0) == pytest.approx(1, abs=0.01)


def test_drawn_noise_passes_and_a_walk_that_stops_half_way_does_not():
    world = gaussian_world(steps=50)
    kept = made_by(world, cycle_diffusion)
    assert asked(gaussian, world, kept, max_=0.1).states is kept.states
    with pytest.raises(Unmet, match=r"'gaussian' is 0\.\d+, and 0\.1 or less was required"):
        asked(gaussian, world, made_by(world, ddim, strength=0.3), max_=0.1)


@pytest.mark.parametrize("require", [psnr, cycle, gaussian])
def test_a_requirement_costs_what_it_says(require):
    world = replace(tiny_world(steps=3), guidance=cfg(guidance=3.0))
    facts = {"guide": 2, "evaluations": 2, "steps": 2}
    given = {"codec": Plain()} if require is psnr else {}
    floor = {"min_": 0.0} if require is psnr else {"max_": 10.0}
    canvas = replace(world.latents.canvas, height=8, width=8, scale=1)
    world = replace(world, latents=replace(world.latents, canvas=canvas), mask=Mask(torch.ones(8, 8)))
    trajectory = made_by(world, edict, strength=2 / 3)
    rows = laws.rows_law(require, world, facts=facts, trajectory=trajectory, **given, **floor)
    assert rows == (0 if require is gaussian else 8)
