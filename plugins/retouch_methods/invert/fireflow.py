"""FireFlow: second order at one question a step.  Deng et al. 2024, arXiv:2412.07517, alg. 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor

from retouch.api import (
    Denoiser,
    Latents,
    Level,
    NegativePrompt,
    Predict,
    Range,
    Schedule,
    SourcePrompt,
    Step,
    Trajectory,
    predictor,
    stage,
    storable,
)
from retouch_methods.guide.distilled import guided
from retouch_methods.invert.ddim import PINNED
from retouch_methods.invert.flow_steps import seen_ahead, walk_up


@storable
@dataclass(frozen=True, slots=True)
class KeptMidpoint:
    """The midpoint method, whose first velocity is the one of the midpoint before.

    State: the latent, and that velocity.  [2, C, h, w]
    """

    def begin(self, x: Tensor) -> Tensor:
        """The latent, and no velocity yet: the first step asks for its own.  [C, h, w] -> [2, C, h, w]"""
        return torch.stack((x, torch.zeros_like(x)))

    async def __call__(self, state: Tensor, step: Step, predict: Predict) -> Tensor:
        return await self.move(state, step.noisy, step.clean, predict, first=step.before is None)

    async def move(self, state: Tensor, here: Level, there: Level, predict: Predict, *, first: bool) -> Tensor:
        """From one level to another, up or down; the first step of a walk asks twice.  [2, C, h, w]"""
        x = state[0]
        # The middle of the step before is half a step away; its velocity only places the point that is asked next, so
        # that what it is off by counts times the step once more, and the order stays two.
        velocity = (await predict(x, here)).velocity if first else state[1]
        middle = await seen_ahead(x, velocity, here, there, 0.5, predict)
        return torch.stack((x + (there.sigma - here.sigma) * middle, middle))


@stage(
    "invert",
    "fireflow",
    paper="arXiv:2412.07517",
    rows="(int(steps * strength + 1e-9) + min(1, int(steps * strength + 1e-9))) * "
    "(1 if source_guidance == 1 or distilled else 2)",
    facts={
        "steps": "int(steps * strength + 1e-9)",
        "evaluations": "1 + 1 / max(1, int(steps * strength + 1e-9))",
        "pinned": "pinned != 'never'",
    },
    predicts=("flow",),
    instead="invert fixed_point",
)
async def fireflow(
    latents: Latents,
    prompt: SourcePrompt,
    negative: NegativePrompt,
    model: Denoiser,
    schedule: Schedule,
    *,
    source_guidance: Annotated[float, Range(0, 100)] = 1.0,
    strength: Annotated[float, Range(0, 1)] = 1.0,
    pinned: Literal["auto", "always", "never"] = "auto",
) -> Trajectory:
    """Walk up a flow by the velocity of each step's middle, guessed from the middle before; the edit walks so too.

    Choose it on undistilled flow models in place of `invert rf_solver`: nearly as exact, at half of its cost.

    source_guidance: guidance on the way up; 1 is none.
    strength: how far to walk, as a fraction of the schedule; the edit begins there.
    pinned: whether the source is replayed from these latents, or sampled again and may drift.  "auto" replays it where
        only a blend reads it and samples it where a control sees it; "always" puts it back at every step, "never" lets
        it drift under a blend as well.
    """
    walk, rule = schedule.tail(strength), KeptMidpoint()
    predict = predictor(guided(model, source_guidance), model, prompt, negative)
    return Trajectory(walk, await walk_up(rule, walk, latents.data, predict), rule, PINNED[pinned])
