"""DDIM inversion that solves for each step instead of guessing it.

AIDI: Pan et al. 2023, arXiv:2309.04907, alg. 1; ReNoise: Garibi et al. 2024, arXiv:2403.14602, alg. 1.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from torch import Tensor

from retouch.api import (
    Ddim,
    Denoiser,
    Latents,
    NegativePrompt,
    Predict,
    Range,
    Schedule,
    SourcePrompt,
    Step,
    Trajectory,
    predictor,
    stage,
)
from retouch_methods.guide.cfg import cfg
from retouch_methods.invert.ddim import PINNED
from retouch_methods.invert.solving import anderson, empirical, picard, solve


async def renoise(step: Step, x: Tensor, predict: Predict, rounds: int) -> Tensor:
    """Average what the last two guesses led to; where there is little noise, the first five, as the authors do.

    Returns x one level noisier, [C, h, w] as it.
    """
    early = step.noisy.timestep < 250
    _, *reached = await solve(step, x, predict, x, min(rounds, 5) if early else rounds, picard)
    return torch.stack(reached if early else reached[-2:]).mean(0)


@stage(
    "invert",
    "fixed_point",
    paper="arXiv:2309.04907",
    rows="(int(steps * strength + 1e-9) * (1 if source_guidance == 1 else 2) * "
    "(min(iterations, 5) if solver == 'renoise' else iterations), "
    "int(steps * strength + 1e-9) * (1 if source_guidance == 1 else 2) * iterations)",
    facts={
        "steps": "int(steps * strength + 1e-9)",
        "evaluations": 1,
        "pinned": "pinned != 'never'",
        "replays": "'ddim'",
    },
)
async def fixed_point(
    latents: Latents,
    prompt: SourcePrompt,
    negative: NegativePrompt,
    model: Denoiser,
    schedule: Schedule,
    *,
    solver: Literal["anderson", "empirical", "picard", "renoise"] = "anderson",
    iterations: Annotated[int, Range(1, 100, "rounds")] = 5,
    source_guidance: Annotated[float, Range(0, 100)] = 1.0,
    strength: Annotated[float, Range(0, 1)] = 1.0,
    pinned: Literal["auto", "always", "never"] = "auto",
) -> Trajectory:
    """Find, at each step, the noisier latent from which DDIM's own step leads back to the one that is there.

    Choose it where the steps are few or the inversion is guided, so that plain DDIM inversion misses; where guidance
    changes between the inversion and the edit, no inversion of this kind can keep the background.

    solver: "anderson" mixes all rounds so that their residuals cancel, "empirical" averages the last two, "picard"
        takes the last; "renoise" takes the last, and averages the last two when done, or below timestep 250 the first
        five.  ReNoise's regularisation of the noise, for models of four steps, is not part of it.
    iterations: rounds for each step; one is DDIM inversion as it is.
    source_guidance: guidance while inverting; where it is the edit's own, the source comes back as nearly as solved.
    strength: how far to walk, as a fraction of the schedule; the edit begins there.
    pinned: whether the source is replayed from these latents, or sampled again and may drift.  "auto" replays it where
        only a blend reads it, as DiffEdit does, which costs no rows, and samples it where a control sees it, as
        Prompt-to-Prompt does; "always" puts it back at every step, "never" lets it drift under a blend as well.
    """
    walk, predict = schedule.tail(strength), predictor(cfg(guidance=source_guidance), model, prompt, negative)
    mix = {"anderson": anderson, "empirical": empirical, "picard": picard}.get(solver)
    x, path = latents.data, [latents.data]  # [C, h, w], and as many more as there are steps
    for step in walk.ascending():
        if mix:
            *_, x = await solve(step, x, predict, x, iterations, mix)
        else:
            x = await renoise(step, x, predict, iterations)
        path.append(x)
    return Trajectory(walk, torch.stack(path[::-1])[:, None], Ddim(), PINNED[pinned])
