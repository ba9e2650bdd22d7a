"""Guidance that holds on to the source: its colours, and what a network says of it.

Kim et al. 2022 (DiffusionCLIP), arXiv:2110.02711, eq. 9, where the network is one that tells faces apart.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from retouch.api import (
    Codec,
    Guidance,
    ImageText,
    Loss,
    Need,
    Predicted,
    Range,
    SourceImage,
    VisionTokens,
    gather,
    stage,
    with_loss,
)


@stage(
    "guide",
    "identity",
    paper="arXiv:2110.02711",
    facts={
        "guide": "guide",
        "gradient": "2 if through == 'network' else 1",
        "seen": "eyes + towers if likeness else 0",
        "idle": "weight == 0 and likeness == 0",
    },
    needs=(
        Need(
            "not likeness or eyes or towers", "has no network to tell the likeness by", 'write eye clip "…" before it'
        ),
    ),
)
async def identity(
    guidance: Guidance,
    source: SourceImage,
    codec: Codec,
    eyes: tuple[ImageText, ...] = (),
    towers: tuple[VisionTokens, ...] = (),
    *,
    weight: Annotated[float, Range(0, 1_000_000)] = 100.0,
    likeness: Annotated[float, Range(0, 1_000_000)] = 0.0,
    through: Literal["network", "x0"] = "network",
) -> Guidance:
    """Lead each step back towards the source picture, everywhere and in all that an edit does not insist on.

    Choose it beside a loss that changes too much; where the edit has a place of its own, `guide keep` holds the rest.
    The last step draws next to no noise and is led by as little, so a walk of one step stays nearly as it was.

    weight: how much the mean difference of colours counts, which run from -1 to 1.
    likeness: how much it counts that each eye of the turn, of either kind, sees another whole: 1 less the cosine.
    through: "network" takes the gradient through the denoiser; "x0" through the decoder alone, which costs less.
    """
    height, width = source.data.shape[-2:]

    async def wholes(picture: Tensor) -> list[Tensor]:
        """What each network says of a picture.  [3, H, W] -> [d] each"""
        if not likeness:
            return []
        seen = await gather(tower.picture(picture) for tower in towers)
        return [*await gather(eye.picture(picture) for eye in eyes), *(whole for whole, _ in seen)]

    known = await wholes(source.data)

    async def miss(seen: Predicted) -> Tensor:
        now = (await seen.picture("predicted"))[:, :height, :width]  # without what pads it
        found = zip(await wholes(now), known, strict=True)
        unlike = [1 - F.cosine_similarity(one, other, dim=0) for one, other in found]
        apart = colours_apart(now, source.data)
        return weight * apart + likeness * torch.stack(unlike).mean() if unlike else weight * apart

    return with_loss(guidance, Loss(miss, 1.0, through), codec)


def colours_apart(now: Tensor, source: Tensor) -> Tensor:
    """The mean absolute difference of colours as networks count them, from -1 to 1.  [3, H, W] in [0, 1] twice -> []"""
    return 2 * (now - source).abs().mean()
