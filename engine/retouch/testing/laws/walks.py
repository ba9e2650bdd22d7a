"""What stages promise that stand in for what the engine supplies: schedules, solvers, tuned models."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch

from retouch.core.denoiser import Denoiser
from retouch.core.guidance import predictor
from retouch.core.schedule import Level, Prediction, Schedule
from retouch.core.values import Prompt
from retouch.core.walk import Rule
from retouch.plugins import cost
from retouch.testing.laws.conduct import mark_of, scope_of
from retouch.testing.laws.families import rule_law
from retouch.testing.laws.running import Stage, distance, outcome, run_one
from retouch.testing.worlds import World, tiny_world


def schedule_law(stage: Stage, world: World | None = None, **options: Any) -> Schedule:
    """A schedule goes down in noise to where the model's own ends, on levels of its kind, in the steps that it says."""
    world = world or tiny_world()
    made = outcome(world, stage, options)
    assert isinstance(made, Schedule), f"it made {type(made).__name__}, and a Schedule was declared"
    said = cost.evaluate(mark_of(stage).facts.get("steps", "steps"), scope_of(stage, world, None, options))
    assert len(made) == said, f"{said} steps were asked for, and it has {len(made)}; a fact 'steps' may say others"
    counted = [step.index for step in made] == list(range(len(made)))
    assert counted, "its steps are not counted; make it by KnownLevels(…).walk(…)"
    for noisy, clean in pairwise(made.levels):
        # sigma / alpha, multiplied out: at pure noise alpha may be 0.
        falls = noisy.sigma * clean.alpha > clean.sigma * noisy.alpha
        assert falls, f"the noise goes up: timestep {clean.timestep:g} comes after {noisy.timestep:g}"
    end = world.schedule.levels[-1]
    assert made.levels[-1] == end, (
        f"it ends at timestep {made.levels[-1].timestep:g}, and the model at {end.timestep:g}"
    )
    for level in made.levels:
        whole = level.alpha + level.sigma if end.flow else level.alpha**2 + level.sigma**2
        assert abs(whole - 1) < 1e-6, (
            f"timestep {level.timestep:g} is no level of this model: alpha {level.alpha:g}, sigma {level.sigma:g}"
        )
    return made


def solver_law(stage: Stage, world: World | None = None, **options: Any) -> Rule:
    """A solver asks as often as the fact `predictions` says, and held to any states it walks through them."""
    world = world or tiny_world()
    rule: Rule = outcome(world, stage, options)
    state = rule.begin(world.latents.data)
    assert state.shape[1:] == world.latents.data.shape, f"a state is [k, C, h, w], and this is {list(state.shape)}"
    asked: list[Level] = []
    inner = predictor(world.guidance, world.model, world.edit.source, world.edit.negative)

    async def predict(
        x: torch.Tensor, level: Level, *, prompt: Prompt | None = None, negative: Prompt | None = None
    ) -> Prediction:
        asked.append(level)
        return await inner(x, level, prompt=prompt, negative=negative)

    async def walked() -> torch.Tensor:
        now = state
        for step in world.schedule:
            now = await rule(now, step, predict)
        return now

    end = run_one(walked())
    assert end.shape == state.shape, f"a step makes {list(end.shape)} of {list(state.shape)}"
    said, counted = mark_of(stage).facts.get("predictions"), len(asked) / len(world.schedule)
    assert said is not None, "it states no fact 'predictions': how many a step asks for"
    most = cost.rows(said, scope_of(stage, world, None, options))[1]
    assert counted <= most < counted + 1, f"the fact 'predictions' says {said} a step, and {counted:g} were asked for"
    rule_law(rule, world, tolerance=1e-2)
    return rule


def windows_law(stage: Stage, world: World | None = None, **options: Any) -> Denoiser:
    """Windows that hold all latents change no bit; of latents twice as wide each step asks for more than one."""
    world = world or tiny_world()
    made = outcome(world, stage, options)
    assert isinstance(made, Denoiser), f"it made {type(made).__name__}, and a Denoiser was declared"
    level, x = world.schedule.steps[0].noisy, world.latents.data
    seen, plain = (run_one(model(x, level, world.edit.target)).pair for model in (made, world.model))
    assert torch.equal(seen, plain), "one window that holds all latents gives other bits than none"
    wide = torch.cat([x] * 3, -1)
    pred = run_one(made(wide, level, world.edit.target))
    assert pred.x0.shape == wide.shape, f"of latents {list(wide.shape)} it makes {list(pred.x0.shape)}"
    assert bool(torch.isfinite(pred.pair).all()), "it predicts values that are not numbers"
    return made


def tune_law(stage: Stage, world: World | None = None, **options: Any) -> Denoiser:
    """A tuned model is other weights under the same core, and predicts numbers that the plain one does not."""
    world = world or tiny_world()
    made = outcome(world, stage, options)
    assert isinstance(made, Denoiser), f"it made {type(made).__name__}, and a Denoiser was declared"
    wrong = {*made.delta.weights, *made.delta.low_rank, *made.delta.beside} - set(world.model.core.base)
    assert not wrong, f"the network has no parameter '{min(wrong)}'; 'model.core.base' lists its names"
    level = world.schedule.steps[0].noisy
    pred, plain = (run_one(model(world.latents.data, level, world.edit.target)).pair for model in (made, world.model))
    assert bool(torch.isfinite(pred).all()), "the tuned model predicts values that are not numbers"
    assert distance(pred, plain), "the tuned model predicts just what the plain one does"
    return made
