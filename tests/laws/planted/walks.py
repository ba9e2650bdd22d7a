"""Guidance, inversions, blends, schedules and solvers that break the walk."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from retouch.api import (
    AttentionMaps,
    Blend,
    Ddim,
    Guidance,
    KnownLevels,
    Latents,
    Mask,
    NoiseSource,
    Rule,
    Schedule,
    Step,
    Trajectory,
    stage,
    together,
)
from tests.laws.planted.faults import planted


@planted("the fact 'guide' says 1 rows a prediction, and 2 were evaluated")
@stage("guide", "a")
def forgets_the_fact_guide() -> Guidance:
    async def guide(model, x, level, prompt, negative):
        pred = await together(uncond=model(x, level, negative, role="uncond"), cond=model(x, level, prompt))
        return pred["uncond"].toward(pred["cond"], 2.0)

    return guide


@planted("guidance is not affine")
@stage("guide", "a")
def squares() -> Guidance:
    async def guide(model, x, level, prompt, negative):
        pred = await model(x, level, prompt)
        return type(pred)(pred.pair**2)

    return guide


def trajectory(latents: Latents, schedule: Schedule, end: float = 1.0) -> Trajectory:
    states = torch.stack([latents.data] * len(schedule) + [latents.data * end])
    return Trajectory(schedule, states[:, None], Ddim(), pinned=True)


@planted("the fact 'steps' says 3, and the trajectory has 4")
@stage("invert", "a", facts={"steps": 3, "evaluations": 1, "pinned": True})
def counts_its_steps_wrong(latents: Latents, schedule: Schedule) -> Trajectory:
    return trajectory(latents, schedule)


@planted("its facts say that 4 steps cost 8 to 8 rows, and 4 were evaluated")
@stage("invert", "a", facts={"evaluations": 2, "pinned": True})
def says_that_its_rule_asks_twice(latents: Latents, schedule: Schedule) -> Trajectory:
    return trajectory(latents, schedule)


@planted("it states no fact 'evaluations'")
@stage("invert", "a")
def states_no_facts(latents: Latents, schedule: Schedule) -> Trajectory:
    return trajectory(latents, schedule)


@planted("the fact 'pinned' says False, and the trajectory says True")
@stage("invert", "a", facts={"evaluations": 1, "pinned": False})
def says_that_it_is_not_pinned(latents: Latents, schedule: Schedule) -> Trajectory:
    return trajectory(latents, schedule)


@planted("the source branch misses the picture")
@stage("invert", "a", facts={"evaluations": 1, "pinned": True})
def ends_beside_the_picture(latents: Latents, schedule: Schedule) -> Trajectory:
    return trajectory(latents, schedule, end=0.9)


@planted("the replay misses the picture", tolerance=1e-3)
@stage("invert", "a", facts={"steps": "steps", "evaluations": 1, "pinned": True})
def noises_and_promises_it_back(latents: Latents, schedule: Schedule, noise: NoiseSource) -> Trajectory:
    draws = noise.normal(len(schedule), latents.data)
    states = [step.noisy.mix(latents.data, draw) for step, draw in zip(schedule, draws, strict=True)]
    return Trajectory(schedule, torch.stack([*states, latents.data])[:, None], Ddim(), pinned=True)


@planted("mask 0 at step 0")
@stage("blend", "a")
def blends_by_half(mask: Mask, latents: Latents) -> Blend:
    def apply(state: torch.Tensor, source: torch.Tensor, step: Step, maps: AttentionMaps) -> torch.Tensor:
        return torch.lerp(source, state, 0.5 + 0.5 * mask.on(latents).to(state))

    return Blend(apply)


@planted("4 steps were asked for, and it has 3")
@stage("schedule", "a")
def leaves_a_step_out(schedule: Schedule) -> Schedule:
    return Schedule.through(schedule.levels[1:])


@planted("the noise goes up")
@stage("schedule", "a")
def goes_up(schedule: Schedule) -> Schedule:
    return Schedule.through(schedule.levels[::-1])


@planted("it ends at timestep 1, and the model at 0")
@stage("schedule", "a")
def stops_early(schedule: Schedule) -> Schedule:
    levels = KnownLevels(schedule)
    return Schedule.through([levels.top, *schedule.levels[:-1]])


@dataclass(frozen=True)
class Twice(Ddim):
    """A step of DDIM that asks once more than it needs."""

    async def __call__(self, state, step, predict):
        await predict(state[0], step.clean)
        return await Ddim.__call__(self, state, step, predict)


@planted("the fact 'predictions' says 1 a step, and 2 were asked for")
@stage("solver", "a", facts={"predictions": 1})
def asks_more_than_it_says() -> Rule:
    return Twice()


@planted("it states no fact 'predictions'")
@stage("solver", "a")
def says_nothing_of_its_cost() -> Rule:
    return Ddim()
