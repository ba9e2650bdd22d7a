"""Edit-friendly DDPM inversion.  Huberman-Spiegelglas et al. 2023, arXiv:2304.06140, alg. 1."""

from __future__ import annotations

from typing import Annotated, Literal

import torch

from retouch.api import (
    Ddim,
    Denoiser,
    Latents,
    NegativePrompt,
    NoiseSource,
    Offset,
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
    "edit_friendly",
    paper="arXiv:2304.06140",
    rows="int(steps * strength + 1e-9) * (1 if source_guidance == 1 else 2)",
    facts={"steps": "int(steps * strength + 1e-9)", "evaluations": 1, "pinned": True},
)
async def edit_friendly(
    latents: Latents,
    prompt: SourcePrompt,
    negative: NegativePrompt,
    model: Denoiser,
    schedule: Schedule,
    noise: NoiseSource,
    *,
    source_guidance: Annotated[float, Range(0, 100)] = 3.5,
    strength: Annotated[float, Range(0, 1)] = 0.64,
    last_noise: Literal["recorded", "zero"] = "recorded",
) -> Trajectory:
    """Noise every level independently, and record what DDPM misses at each step as the step's own noise.

    Choose it for strong edits that keep the source's texture and place: its noises are larger than DDPM's and carry
    the picture, whatever the prompt.  All steps share one pass; other seeds give other edits.

    source_guidance: guidance while recording; where it is the edit's own, the source comes back exactly.
    strength: where the edit begins, as a fraction of the schedule; the paper skips 36 of 100 steps.
    last_noise: "recorded" keeps what the last step misses; "zero" drops it, as the authors' code does, and then not
        even the source comes back exactly.
    """
    walk, x0 = schedule.tail(strength), latents.data  # [C, h, w]
    draws = noise.normal(len(walk), like=x0)  # [N, C, h, w]
    noised = [step.noisy.mix(x0, draw) for step, draw in zip(walk, draws, strict=True)]
    states = torch.stack([*noised, x0])[:, None]  # [N + 1, 1, C, h, w]
    predict = predictor(cfg(guidance=source_guidance), model, prompt, negative)
    rule = await hold(Ddim(eta=1), states, walk, predict)
    if last_noise == "zero":
        rule = Offset(rule.rule, torch.cat((rule.offsets[:-1], torch.zeros_like(rule.offsets[-1:]))))
    return Trajectory(walk, states, rule, pinned=True)
