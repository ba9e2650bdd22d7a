"""Masks grown, shrunk, softened and cut."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional as F

from retouch.api import Mask, Range, stage


@stage("mask", "dilate", facts={"parts": 1, "empty": "mask_empty", "full": "mask_full"})
def dilate(mask: Mask, *, pixels: Annotated[int, Range(1, 4096, "pixels")] = 4) -> Mask:
    """Grow the edited area on every side, so that outlines and shadows of the old thing are edited too.

    pixels: how far, in pixels of the picture; a mask of latent cells grows by as many whole cells as cover it.
    """
    cells = -(-pixels // mask.scale)
    return mask.mapped(lambda data: grown(data, cells), cells)


@stage("mask", "erode", facts={"parts": 1, "empty": "mask_empty", "full": "mask_full"})
def erode(mask: Mask, *, pixels: Annotated[int, Range(1, 4096, "pixels")] = 4) -> Mask:
    """Shrink the edited area on every side; beyond the picture's edge counts as edited.

    pixels: how far, in pixels of the picture; a mask of latent cells shrinks by as many whole cells as cover it.
    """
    cells = -(-pixels // mask.scale)
    return mask.mapped(lambda data: 1 - grown(1 - data, cells), cells)


@stage("mask", "feather", facts={"parts": 1, "empty": "mask_empty", "full": "mask_full"})
def feather(mask: Mask, *, pixels: Annotated[int, Range(1, 512, "pixels")] = 4) -> Mask:
    """Let the edit fade in from the edge of the area; nothing outside of it becomes edited.

    Choose it for edits whose light goes over into the picture: weather, style, glow.  Things with an outline want the
    hard edge.

    pixels: how far inside the edge the mask reaches its whole strength, in pixels of the picture; a mask of latent
        cells fades over as many whole cells as cover it.
    """
    cells = -(-pixels // mask.scale)
    return mask.mapped(lambda data: data * depth(data, cells), 1)


@stage("mask", "threshold", facts={"parts": 1, "empty": "mask_empty or at == 1", "full": "mask_full and at < 1"})
def threshold(mask: Mask, *, at: Annotated[float, Range(0, 1)] = 0.5) -> Mask:
    """Make a soft mask hard: whole inside, nothing outside.

    at: what lies above it is edited; 0 edits all that is masked at all, 1 nothing.
    """
    return mask.mapped(lambda data: (data > at).to(data))


def grown(data: Tensor, cells: int) -> Tensor:
    """The maximum over a square of 2 cells + 1 on each side.  [h, w]"""
    return F.max_pool2d(data[None, None], 2 * cells + 1, 1, cells)[0, 0]


def depth(data: Tensor, cells: int) -> Tensor:
    """How deep inside the mask a cell lies: up to 1 at `cells` from its edge.  [h, w]"""
    inside = (data > 0).to(data)  # [h, w]
    layers = torch.zeros_like(inside)  # [h, w]
    for _ in range(cells):
        layers = layers + inside
        inside = 1 - grown(1 - inside, 1)
    return (layers + inside) / (cells + 1)
