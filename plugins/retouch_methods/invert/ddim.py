"""DDIM inversion.  Song et al. 2021, arXiv:2010.02502, eq. 12-13."""

from __future__ import annotations

from typing import Annotated, Literal

import torch

from retouch.api import Ddim, Denoiser, Latents, Range, Schedule, SourcePrompt, Trajectory, predictor, stage, unguided
from retouch_methods.invert.solving import picard, solve


@stage(
    "invert",
    "ddim",
    paper="arXiv:2010.02502",
    rows="int(steps * strength + 1e-9) * (1 + iterations if convention == 'fixed_point' else 1)",
    facts={"steps": "int(steps * strength + 1e-9)", "evaluations": 1, "pinned": "pinned"},
)
async def ddim(
    latents: Latents,
    prompt: SourcePrompt,
    model: Denoiser,
    schedule: Schedule,
    *,
    convention: Literal["target", "source", "fixed_point"] = "target",
    iterations: Annotated[int, Range(1, 50)] = 5,
    strength: Annotated[float, Range(0, 1)] = 1.0,
    pinned: bool = False,
) -> Trajectory:
    """Walk the sampling ODE backwards, from the picture to noise.

    The noise of a step from s up to t should be seen at x_t, which is not known yet; what stands for it is the
    convention.  The walk is exact only as the steps grow in number, and guidance amplifies what error is left.

    convention: "target" asks at (x_s, t), as most code does; "source" at (x_s, s), as the equation is printed;
        "fixed_point" asks at (x_t, t), solving for x_t by iteration.
    iterations: rounds of the fixed point after its first guess.
    strength: how far to walk, as a fraction of the schedule; the edit begins there.
    pinned: whether the source is replayed from these latents at every step, or sampled again and may drift.
    """
    walk, predict = schedule.tail(strength), predictor(unguided, model, prompt, prompt)
    x, path = latents.data, [latents.data]
    for step in walk.ascending():
        asked = step.clean.timestep if convention == "source" else step.noisy.timestep
        pred = await model(x, step.clean, prompt, timestep=asked)
        reached = step.noisy.mix(pred.x0, pred.eps)
        rounds = iterations if convention == "fixed_point" else 0
        *_, x = await solve(step, x, predict, reached, rounds, picard)
        path.append(x)
    return Trajectory(walk, torch.stack(path[::-1])[:, None], Ddim(), pinned)
