"""CycleDiffusion's DPM-Encoder.  Wu & De la Torre 2022, arXiv:2210.05559, alg. 1."""

from __future__ import annotations

from typing import Annotated

import torch

from retouch.api import (
    Ddim,
    Denoiser,
    Latents,
    NegativePrompt,
    NoiseSource,
    Range,
    Schedule,
    SourcePrompt,
    Trajectory,
    hold,
    predictor,
    stage,
)
from retouch_methods.guide.cfg import cfg


@stage(
    "invert",
    "cycle_diffusion",
    paper="arXiv:2210.05559",
    rows="int(steps * strength + 1e-9) * (1 if source_guidance == 1 else 2)",
    facts={"steps": "int(steps * strength + 1e-9)", "evaluations": 1, "pinned": True},
)
async def cycle_diffusion(
    latents: Latents,
    prompt: SourcePrompt,
    negative: NegativePrompt,
    model: Denoiser,
    schedule: Schedule,
    noise: NoiseSource,
    *,
    eta: Annotated[float, Range(0, 1)] = 0.1,
    source_guidance: Annotated[float, Range(0, 100)] = 1.0,
    strength: Annotated[float, Range(0, 1)] = 0.8,
) -> Trajectory:
    """Draw noisy versions of the picture from their posterior, and record the noise that leads from each to the next.

    Choose it for a quick edit whose layout follows the source; all steps share one pass.  What was recorded belongs to
    no model, so another one that was trained on the same levels may sample it: translation without pairs.

    eta: how much of each step's noise is new; 0 keeps one draw for the whole walk, 1 is DDPM.
    source_guidance: guidance while recording; where it is the edit's own, the source comes back exactly.
    strength: how far up the noisy versions go, as a fraction of the schedule; the edit begins there.
    """
    walk, x0 = schedule.tail(strength), latents.data  # [C, h, w], as each draw and each place of the path
    first, *draws = noise.normal(len(walk) + 1, like=x0)
    path = [schedule.at(strength).mix(x0, first)]
    for step, draw in zip(walk, draws, strict=True):
        eps = (path[-1] - step.noisy.alpha * x0) / step.noisy.sigma
        path.append(step.mean(x0, eps, eta) + step.fresh(eta) * draw)
    states = torch.stack([*path[:-1], x0])[:, None]  # [N + 1, 1, C, h, w]
    predict = predictor(cfg(guidance=source_guidance), model, prompt, negative)
    return Trajectory(walk, states, await hold(Ddim(eta), states, walk, predict), pinned=True)
