"""Masks that the user gives."""

from __future__ import annotations

from typing import Annotated

import torch

from retouch.api import Latents, Mask, Pictures, Range, stage


@stage("mask", "file")
def file(latents: Latents, pictures: Pictures, *, path: str) -> Mask:
    """Read a mask from a picture of the source's size: white is edited, black is kept, grey is mixed.

    path: the file.
    """
    mask = pictures.mask(path)
    height, width = latents.canvas.height, latents.canvas.width
    if mask.data.shape != (height, width):
        tall, wide = mask.data.shape
        raise ValueError(f"the mask is {wide}×{tall} pixels and the picture {width}×{height}; save it at that size")
    return mask


@stage("mask", "box")
def box(
    latents: Latents,
    *,
    left: Annotated[float, Range(0, 1)] = 0.0,
    top: Annotated[float, Range(0, 1)] = 0.0,
    right: Annotated[float, Range(0, 1)] = 1.0,
    bottom: Annotated[float, Range(0, 1)] = 1.0,
) -> Mask:
    """Edit inside a rectangle.

    left, right: its sides, as fractions of the picture's width from the left.
    top, bottom: its sides, as fractions of the picture's height from the top.
    """
    if left >= right or top >= bottom:
        raise ValueError("a box has its left side left of its right one, and its top above its bottom")
    height, width = latents.canvas.height, latents.canvas.width
    data = torch.zeros(height, width, dtype=latents.data.dtype, device=latents.data.device)
    data[round(top * height) : round(bottom * height), round(left * width) : round(right * width)] = 1
    return Mask(data)
