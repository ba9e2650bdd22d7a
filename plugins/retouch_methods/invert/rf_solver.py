"""RF-Solver: walks of a flow in steps of second order, up and down.  Wang et al. 2024, arXiv:2411.04746, alg. 1."""

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
class Taylor:
    """A Taylor step of second order, whose derivative is a difference of two velocities.

    ahead: at which share of the step the second velocity is seen; at 0.5 the step is the midpoint method's.
    """

    ahead: float = 0.5

    def begin(self, x: Tensor) -> Tensor:
        """One latent.  [C, h, w] -> [1, C, h, w]"""
        return x[None]

    async def __call__(self, state: Tensor, step: Step, predict: Predict) -> Tensor:
        return await self.move(state, step.noisy, step.clean, predict)

    async def move(self, state: Tensor, here: Level, there: Level, predict: Predict, *, first: bool = False) -> Tensor:
        """From one level to another, up or down; the first step is as all others.  [1, C, h, w]"""
        x = state[0]
        velocity = (await predict(x, here)).velocity
        later = await seen_ahead(x, velocity, here, there, self.ahead, predict)
        # x + h v + h^2 / 2 v', where v' is taken to be (later - velocity) / (ahead h)
        return (x + (there.sigma - here.sigma) * torch.lerp(velocity, later, 0.5 / self.ahead))[None]


@stage(
    "invert",
    "rf_solver",
    paper="arXiv:2411.04746",
    rows="2 * int(steps * strength + 1e-9) * (1 if source_guidance == 1 or distilled else 2)",
    facts={"steps": "int(steps * strength + 1e-9)", "evaluations": 2, "pinned": "pinned != 'never'"},
    predicts=("flow",),
    instead="invert fixed_point",
)
async def rf_solver(
    latents: Latents,
    prompt: SourcePrompt,
    negative: NegativePrompt,
    model: Denoiser,
    schedule: Schedule,
    *,
    ahead: Annotated[float, Range(0.01, 1)] = 0.5,
    source_guidance: Annotated[float, Range(0, 100)] = 1.0,
    strength: Annotated[float, Range(0, 1)] = 1.0,
    pinned: Literal["auto", "always", "never"] = "auto",
) -> Trajectory:
    """Walk up a flow in steps that know how its velocity changes, and let the edit walk down in the same.

    Choose it on undistilled flow models where the source has to come back at few steps; each costs two questions.
    Models distilled to few steps bend between them, and it gains nothing there: take `invert flowedit`.

    ahead: where along each step the velocity is seen again.  0.5 is the authors' code and the midpoint method, 1 is
        Heun's; the smaller, the nearer to the derivative of the paper's expansion, and the more rounding counts.
    source_guidance: guidance on the way up; 1 is none.
    strength: how far to walk, as a fraction of the schedule; the edit begins there.
    pinned: whether the source is replayed from these latents, or sampled again and may drift.  "auto" replays it where
        only a blend reads it and samples it where a control sees it; "always" puts it back at every step, "never" lets
        it drift under a blend as well.
    """
    walk, rule = schedule.tail(strength), Taylor(ahead)
    predict = predictor(guided(model, source_guidance), model, prompt, negative)
    return Trajectory(walk, await walk_up(rule, walk, latents.data, predict), rule, PINNED[pinned])
