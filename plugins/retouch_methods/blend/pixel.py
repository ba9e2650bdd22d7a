"""Blending in pixels: what is outside the mask is the source itself.  Avrahami et al. 2022, arXiv:2111.14818."""

from __future__ import annotations

from typing import Annotated

import torch
from torch.nn import functional as F

from retouch.api import Image, Mask, Range, SourceImage, stage


@stage("blend", "pixel", paper="arXiv:2111.14818")
def pixel(image: Image, source: SourceImage, mask: Mask, *, feather: Annotated[int, Range(0, 512)] = 0) -> Image:
    """Take every pixel outside the mask from the source: not one byte changes there.

    feather: pixels inside the mask's edge over which the edit fades in; 0 is a hard edge.
    """
    height, width = source.data.shape[-2:]
    area = mask.pixels(height, width).to(source.data)
    share = area * _depth(area, feather) if feather else area
    mixed = torch.lerp(source.data, image.data, share)
    return Image(torch.where(area == 0, source.data, mixed), source.alpha)


def _depth(area: torch.Tensor, feather: int) -> torch.Tensor:
    """How deep inside the mask a pixel lies: up to 1 at `feather` pixels from its edge.  [H, W]"""
    inside = (area > 0).to(area)[None, None]
    depth = torch.zeros_like(inside)
    for _ in range(feather):
        depth = depth + inside
        inside = 1 - F.max_pool2d(1 - inside, 3, 1, 1)
    return (depth / (feather + 1) + inside / (feather + 1))[0, 0]
