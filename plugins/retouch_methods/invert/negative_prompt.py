"""Negative-prompt inversion.  Miyake et al. 2023, arXiv:2305.16807, alg. 1."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import torch
from torch import Tensor

from retouch.api import (
    Denoiser,
    Latents,
    NegativePrompt,
    Negatives,
    Range,
    Schedule,
    SourcePrompt,
    Trajectory,
    stage,
)
from retouch_methods.invert.ddim import ddim
from retouch_methods.lengths import as_long


@stage(
    "invert",
    "negative_prompt",
    paper="arXiv:2305.16807",
    rows="int(steps * strength + 1e-9)",
    facts={
        "steps": "int(steps * strength + 1e-9)",
        "evaluations": 1,
        "pinned": True,
        "replays": "'any'",
        "negatives": "interpolation == 0",
    },
    words="needed",
    instead="invert ddim",
)
async def negative_prompt(
    latents: Latents,
    prompt: SourcePrompt,
    negative: NegativePrompt,
    model: Denoiser,
    schedule: Schedule,
    *,
    interpolation: Annotated[float, Range(0, 1)] = 0.0,
    strength: Annotated[float, Range(0, 1)] = 1.0,
) -> Trajectory:
    """Let the source prompt be the negative one, so that guidance cancels on the source whatever its scale.

    Choose it in place of null-text where minutes matter: it costs what DDIM costs and keeps nearly as much.  Where the
    target shares most of its words with the source, guidance has little left to push against.  Under `guide proximal`
    it is ProxEdit (Han et al. 2023, arXiv:2306.05414), and with pull_to="inversion" there its inversion guidance.

    interpolation: how far the prompt is turned back towards the empty one, on the sphere of embeddings, as ProxEdit's
        code can; 1 is plain guidance.
    strength: how far to walk, as a fraction of the schedule; the edit begins there.
    """
    pivot = await ddim(latents, prompt, negative, model, schedule, strength=strength)
    said, nothing = as_long(prompt.embeds, negative.embeds)
    away = slerp(said, nothing, interpolation) if interpolation else prompt.embeds  # [tokens, dim]
    return replace(pivot, rule=Negatives(pivot.rule, (prompt.saying(away),) * len(pivot.schedule)))


def slerp(start: Tensor, end: Tensor, share: float) -> Tensor:
    """Part of the way along the arc between two tensors of one shape [...], which are each one vector."""
    lengths = start.norm() * end.norm()
    cosine = (start * end).sum() / lengths
    angle = torch.acos(cosine.clamp(-1, 1))  # rounding may leave the range, where there is no angle
    between = (torch.sin((1 - share) * angle) * start + torch.sin(share * angle) * end) / torch.sin(angle)
    # Where there is no arc, that is 0 / 0: as to Stable Diffusion XL's empty prompt, whose numbers are all 0.
    return torch.where((angle == 0) | (lengths == 0), start + share * (end - start), between)
