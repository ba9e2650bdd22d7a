"""DDIM inversion.  Song et al. 2021, arXiv:2010.02502, eq. 12-13."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

import torch

from retouch.api import (
    Ddim,
    Denoiser,
    Latents,
    Moot,
    Need,
    NegativePrompt,
    Range,
    Schedule,
    SourcePrompt,
    Trajectory,
    predictor,
    stage,
)
from retouch_methods.guide.cfg import cfg
from retouch_methods.invert.solving import picard, solve

PINNED = {"auto": None, "always": True, "never": False}


@stage(
    "invert",
    "ddim",
    paper="arXiv:2010.02502",
    moot=(Moot("iterations", "convention != 'fixed_point'", 'only convention="fixed_point" iterates'),),
    rows="(int(steps * strength + 1e-9) * (1 + iterations if convention == 'fixed_point' else 1) * "
    "(1 if source_guidance == 1 else 2), "
    "int(steps * strength + 1e-9) * (1 + iterations if convention == 'fixed_point' else 1) * "
    "(1 if source_guidance == 1 else 2) * parts)",
    facts={
        "steps": "int(steps * strength + 1e-9)",
        "evaluations": 1,
        "pinned": "pinned != 'never'",
        "replays": "'any'",
    },
    needs=(
        Need(
            "parts == 1 or trained > 0",
            "divides its steps in {parts}, and this model has no list of trained levels between them",
            "write parts=1, and more steps",
        ),
    ),
)
async def ddim(
    latents: Latents,
    prompt: SourcePrompt,
    negative: NegativePrompt,
    model: Denoiser,
    schedule: Schedule,
    *,
    convention: Literal["target", "source", "fixed_point", "target_diffusers"] = "target",
    iterations: Annotated[int, Range(1, 50, "rounds")] = 5,
    source_guidance: Annotated[float, Range(0, 100)] = 1.0,
    strength: Annotated[float, Range(0, 1)] = 1.0,
    parts: Annotated[int, Range(1, 1000, "steps")] = 1,
    pinned: Literal["auto", "always", "never"] = "auto",
) -> Trajectory:
    """Walk the sampling ODE backwards, from the picture to noise.

    The noise of a step from s up to t should be seen at x_t, which is not known yet; what stands for it is the
    convention.  The walk is exact only as the steps grow in number, and guidance amplifies what error is left.

    convention: "target" asks at (x_s, t), as most code does; "source" at (x_s, s), as the equation is printed;
        "fixed_point" asks at (x_t, t), solving for x_t by iteration.  "target_diffusers" asks at (x_s, t) and reads
        the answer as one at level s, as diffusers' DDIMInverseScheduler does: the same for models that predict noise,
        and for velocity so far off that a walk of 25 steps may not come back.
    iterations: rounds of the fixed point after its first guess.
    source_guidance: guidance on the way up.  1 is none, and what nearly all papers take; above, each guess misses by as
        much more, the noise is further from what the model draws, and the edit drifts worse unless guided as strongly.
    strength: how far to walk, as a fraction of the schedule; the edit begins there.
    parts: steps on the way up for each step of the edit, at most all timesteps that the model was trained at; the more,
        the nearer the noise is to where the ODE leads, and the source's latents on the way.  Sampling again does not
        gain by it, since it has few steps still.  Plug-and-Play walks all of them up and 50 down: 20.
    pinned: whether the source is replayed from these latents, or sampled again and may drift.  "auto" replays it where
        only a blend reads it, as DiffEdit does, which costs no rows, and samples it where a control sees it, as
        Prompt-to-Prompt does; "always" puts it back at every step, "never" lets it drift under a blend as well.
    """
    walk, predict = schedule.tail(strength), predictor(cfg(guidance=source_guidance), model, prompt, negative)
    x, path = latents.data, [latents.data]  # [C, h, w], and as many more as there are steps
    for fine in reversed(walk.divided(parts)):
        for step in fine.ascending():
            seen = step.clean if convention == "source" else step.noisy
            if convention == "target_diffusers":
                seen = replace(step.clean, timestep=step.noisy.timestep)
            pred = await predict(x, seen)
            rounds = iterations if convention == "fixed_point" else 0
            *_, x = await solve(step, x, predict, step.uncarry(x, pred), rounds, picard)
        path.append(x)
    return Trajectory(walk, torch.stack(path[::-1])[:, None], Ddim(), PINNED[pinned])
