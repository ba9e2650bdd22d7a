"""A mask by a network of our own, whose weights come with us."""

from typing import Annotated

import torch
from torch import nn

from retouch.api import Mask, Range, SourceImage, Weights, call, stage


class Edges(nn.Module):
    """How much a picture changes round each pixel.  [B, 3, H, W] -> [B, H, W]"""

    def __init__(self) -> None:
        super().__init__()
        self.change = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.round = nn.Conv2d(4, 1, 9, padding=4, bias=False)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.round(self.change(pictures).abs())[:, 0]


@stage("mask", "edges", weights=("edges",))
async def edges(image: SourceImage, weights: Weights, *, above: Annotated[float, Range(0, 10)] = 0.3) -> Mask:
    """Edit where the picture has edges.

    above: how much has to change round a pixel.
    """
    heat = await call(weights.network("edges", Edges), image.data)
    return Mask((heat > above).to(image.data))


@stage("mask", "elsewhere", weights=("elsewhere",))
def elsewhere(image: SourceImage, weights: Weights) -> Mask:
    """Edit everywhere, if another package's weights are numbers."""
    (first, *_) = weights.tensors("elsewhere").values()
    return Mask(torch.full(image.size, float(bool(first.isfinite().all())), dtype=image.data.dtype))


@stage("mask", "gone", weights=("gone",))
def gone(image: SourceImage, weights: Weights) -> Mask:
    """Edit where weights say that nobody has fetched."""
    return Mask(weights.tensors("gone")["none"])
