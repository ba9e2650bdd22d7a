"""Masks grown and shrunk."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor
from torch.nn import functional as F

from retouch.api import Mask, Range, stage


@stage("mask", "dilate")
def dilate(mask: Mask, *, pixels: Annotated[int, Range(1, 4096)] = 4) -> Mask:
    """Grow the edited area on every side, so that outlines and shadows of the old thing are edited too.

    pixels: how far, in pixels of the picture; a mask of latent cells grows by as many whole cells as cover it.
    """
    return Mask(_grown(mask.data, -(-pixels // mask.scale)), mask.scale)


@stage("mask", "erode")
def erode(mask: Mask, *, pixels: Annotated[int, Range(1, 4096)] = 4) -> Mask:
    """Shrink the edited area on every side; beyond the picture's edge counts as edited.

    pixels: how far, in pixels of the picture; a mask of latent cells shrinks by as many whole cells as cover it.
    """
    return Mask(1 - _grown(1 - mask.data, -(-pixels // mask.scale)), mask.scale)


def _grown(data: Tensor, cells: int) -> Tensor:
    """The maximum over a square of 2 cells + 1 on each side.  [h, w]"""
    return F.max_pool2d(data[None, None], 2 * cells + 1, 1, cells)[0, 0]
