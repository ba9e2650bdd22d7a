"""DiffEdit's mask.  Couairon et al. 2022, arXiv:2210.11427, step 1."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from retouch.api import Denoiser, Edit, Latents, Mask, NoiseSource, Range, Schedule, gather, stage, together


@stage("mask", "diffedit", paper="arXiv:2210.11427", rows="2 * maps")
async def diffedit(
    latents: Latents,
    edit: Edit,
    model: Denoiser,
    schedule: Schedule,
    noise: NoiseSource,
    *,
    strength: Annotated[float, Range(0, 1)] = 0.5,
    maps: Annotated[int, Range(1, 1000)] = 10,
    clamp: Annotated[float, Range(1, 100)] = 3.0,
    threshold: Annotated[float, Range(0, 1)] = 0.5,
) -> Mask:
    """Edit where the two prompts disagree about the noise in a noised copy of the picture.

    strength: how noisy the copy is, as a fraction of the schedule.
    maps: noise draws to average over.
    clamp: disagreement above this multiple of its mean is cut off, so that one hot spot does not set the scale.
    threshold: fraction of the clamped maximum above which a cell is edited; lower edits more.
    """
    level = schedule.at(strength)

    async def disagreement(eps: Tensor) -> Tensor:
        x = level.mix(latents.data, eps)
        pred = await together(source=model(x, level, edit.source), target=model(x, level, edit.target))
        return (pred["target"].eps - pred["source"].eps).abs().mean(dim=0)

    draws = noise.normal(maps, like=latents.data)
    heat = torch.stack(await gather(disagreement(eps) for eps in draws)).mean(dim=0)
    ceiling = clamp * heat.mean()
    return Mask((heat.clamp(max=ceiling) > threshold * ceiling).to(heat), latents.canvas.scale)
