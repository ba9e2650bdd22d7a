"""Schedules visit the levels that their papers say, as many as the turn has steps, and end where the model's own do."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler
from diffusers.schedulers.scheduling_utils import AysSchedules
from hypothesis import given, settings
from hypothesis import strategies as st

from retouch.api import KnownLevels, Schedule
from retouch.models.kit.levels import ddim_schedule
from retouch_methods.schedule.ays import ays
from retouch_methods.schedule.by_hand import levels
from retouch_methods.schedule.exponential import exponential
from retouch_methods.schedule.karras import karras
from retouch_methods.schedule.shift import shift
from retouch_methods.schedule.spacing import leading, linspace, trailing

SD = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
PURE = {**SD, "rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
DIFFUSION = [karras, exponential, ays, leading, trailing, linspace]


def own(steps: int, **config) -> Schedule:
    return ddim_schedule({**SD, **config}, steps)


def noise(schedule: Schedule) -> list[float]:
    return [level.sigma / level.alpha if level.alpha else math.inf for level in schedule.levels]


@pytest.mark.crossed
@pytest.mark.parametrize("make", DIFFUSION)
@pytest.mark.parametrize("config", [{}, {"set_alpha_to_one": False}, PURE], ids=["to one", "to the first", "pure"])
@settings(max_examples=40)
@given(steps=st.integers(1, 200))
def test_it_has_the_steps_of_the_turn_goes_down_and_ends_where_the_model_does(make, config, steps):
    plain = own(steps, **config)
    made = make(plain)
    assert len(made) == steps
    assert made.levels[-1] == plain.levels[-1]
    assert all(a > b for a, b in zip(noise(made), noise(made)[1:], strict=False))
    assert [step.progress for step in made] == [i / steps for i in range(steps)]
    assert made.trained == plain.trained
    for level in made.levels:
        assert math.isclose(level.alpha**2 + level.sigma**2, 1, abs_tol=1e-12)


@pytest.mark.parametrize("steps", [5, 10, 30])
@pytest.mark.parametrize(("make", "asks"), [(karras, "use_karras_sigmas"), (exponential, "use_exponential_sigmas")])
def test_it_is_that_of_diffusers(make, asks, steps):
    config = {key: value for key, value in SD.items() if key != "steps_offset"}
    theirs = DPMSolverMultistepScheduler(**config, **{asks: True})
    theirs.set_timesteps(steps)
    made = make(own(steps, set_alpha_to_one=True))
    assert noise(made)[:-1] == pytest.approx(theirs.sigmas[:-1].tolist(), rel=2e-5)
    # They round or cut the time that the network is told; ours is what they round.
    told = [level.timestep for level in made.levels[:-1]]
    assert told == pytest.approx(theirs.timesteps.tolist(), abs=1.01)


@pytest.mark.parametrize("make", [leading, trailing, linspace])
@pytest.mark.parametrize("steps", [7, 20, 50])
def test_a_spacing_is_that_of_diffusers(make, steps):
    theirs = DDIMScheduler(**SD, timestep_spacing=make.__name__)
    theirs.set_timesteps(steps)
    assert [step.noisy.timestep for step in make(own(steps))] == theirs.timesteps.tolist()


@pytest.mark.parametrize(("table", "name"), [("sd1", "StableDiffusion"), ("sdxl", "StableDiffusionXL")])
def test_align_your_steps_has_the_published_numbers_at_ten_steps(table, name):
    made = ays(own(10), table=table)
    assert noise(made)[:-1] == pytest.approx(AysSchedules[f"{name}Sigmas"][:-1], rel=1e-4)
    published = AysSchedules[f"{name}Timesteps"]
    assert [level.timestep for level in made.levels[:-1]] == pytest.approx(published, abs=2.5)


def test_other_numbers_of_steps_lie_between_in_the_logarithm():
    ten, twenty = noise(ays(own(10))), noise(ays(own(20)))
    assert twenty[:-1:2] == pytest.approx(ten[:-1], rel=1e-9)
    assert twenty[3] == pytest.approx(math.sqrt(ten[1] * ten[2]), rel=1e-9)


@pytest.mark.parametrize("make", DIFFUSION[:3])
def test_a_model_of_zero_terminal_snr_begins_at_pure_noise(make):
    made = make(own(10, **PURE))
    assert made.levels[0].alpha == 0
    assert made.levels[0].timestep == 999


def test_listed_levels_are_the_trained_ones_bit_for_bit_and_others_lie_between():
    plain = own(50)
    made = levels(plain, at=(999, 600.5, 20))
    known = {step.noisy.timestep: step.noisy for step in own(1000, steps_offset=0)}
    assert made.levels[0] == known[999]
    assert made.levels[2] == known[20]
    high, low, between = (each.sigma / each.alpha for each in (known[601], known[600], made.levels[1]))
    assert between == pytest.approx(math.sqrt(high * low))
    assert len(made) == 3
    with pytest.raises(ValueError, match="goes down in noise"):
        levels(plain, at=(20, 999))
    with pytest.raises(ValueError, match="between 0 and 999"):
        levels(plain, at=(1000,))


@given(timestep=st.floats(0, 999))
def test_a_level_is_found_again_by_its_noise(timestep):
    known = KnownLevels(own(10))
    level = known.at(timestep)
    assert known.noisy(level.sigma / level.alpha).timestep == pytest.approx(timestep, abs=1e-6)


def test_a_flow_is_shifted_in_place_of_its_own_shift():
    plain = Schedule.flow(8)
    assert [level.sigma for level in shift(plain, by=1).levels] == pytest.approx(
        [level.sigma for level in plain.levels]
    )
    moved = shift(plain, by=3)
    assert [level.sigma for level in moved.levels] == pytest.approx(
        [3 * s / (1 + 2 * s) for s in (1 - i / 8 for i in range(9))]
    )
    assert moved.levels[3].timestep == pytest.approx(1000 * moved.levels[3].sigma)
    assert all(level.flow for level in moved.levels)
    assert levels(plain, at=(1000, 400)).levels[1].sigma == pytest.approx(0.4)


def test_levels_that_nobody_knows_are_refused():
    with pytest.raises(ValueError, match="no list of trained levels"):
        KnownLevels(replace(own(5), trained=()))


def test_strength_and_parts_go_on_working():
    made = karras(own(10))
    assert made.tail(0.5).levels == made.levels[5:]
    assert [step.progress for step in made.tail(0.5)] == [0, 0.2, 0.4, 0.6, 0.8]
    fine = made.divided(4)
    assert all(
        walk.levels[0] == step.noisy and walk.levels[-1] == step.clean for walk, step in zip(fine, made, strict=True)
    )
