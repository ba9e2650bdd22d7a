"""Guidance that keeps what lies outside the mask.  Avrahami et al. 2022, arXiv:2111.14818, sec. 4.1, eq. 5."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from torch import Tensor

from retouch.api import (
    Codec,
    Guidance,
    Loss,
    Mask,
    Moot,
    Perceptual,
    Predicted,
    Range,
    SourceImage,
    gather,
    inside,
    stage,
    with_loss,
)


@stage(
    "guide",
    "keep",
    paper="arXiv:2111.14818",
    facts={
        "guide": "guide",
        "gradient": "2 if through == 'network' else 1",
        "seen": "eyes if perceptual else 0",
        "idle": "weight == 0 and not (perceptual and eyes)",
    },
    moot=(Moot("perceptual", "not eyes", "no 'eye lpips' stands before it, so squared errors alone count"),),
)
def keep(
    guidance: Guidance,
    source: SourceImage,
    codec: Codec,
    mask: Mask,
    eyes: tuple[Perceptual, ...] = (),
    *,
    weight: Annotated[float, Range(0, 1_000_000)] = 1000.0,
    perceptual: Annotated[float, Range(0, 1_000_000)] = 100.0,
    through: Literal["network", "x0"] = "network",
) -> Guidance:
    """Lead each step so that the picture stays the source's outside the mask, without a blend's seam.

    Choose it over `blend latent` where what is edited and what is kept have to grow together, or beside it.  Behind it
    the rest is near the source and not the same; `blend pixel` makes it that. The last step draws next to no noise and
    is led by as little, so a walk of one step stays nearly as it was.

    weight: how much the mean squared difference of colours counts, which run from -1 to 1.
    perceptual: how much it counts that the rest looks other, as `eye lpips` tells it; without one that is not asked.
    through: "network" takes the gradient through the denoiser; "x0" through the decoder alone, which costs less.
    """
    height, width = source.data.shape[-2:]
    rest = Mask(1 - mask.data, mask.scale)
    kept = inside(source.data, rest)  # [3, H, W], black where it is edited

    async def miss(seen: Predicted) -> Tensor:
        now = inside((await seen.picture("predicted"))[:, :height, :width], rest)
        squares = 4 * (now - kept).square().mean()
        if not (eyes and perceptual):
            return weight * squares
        looks = torch.stack(await gather(eye.distance(now, kept) for eye in eyes)).mean()
        return weight * squares + perceptual * looks

    return with_loss(guidance, Loss(miss, 1.0, through), codec)
