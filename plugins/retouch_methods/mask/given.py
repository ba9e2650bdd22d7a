"""Masks that the user gives."""

from __future__ import annotations

import re
from typing import Annotated

import torch

from retouch.api import Latents, Mask, Pictures, Range, SourceImage, stage


@stage("mask", "file")
def file(
    latents: Latents,
    pictures: Pictures,
    *,
    path: str,
    label: Annotated[int, Range(0, 65535, "the file's numbers")] | None = None,
) -> Mask:
    """Read a mask from a picture of the source's size: white is edited, black is kept, grey is mixed.

    On a transparent layer, what was painted is edited; of a picture with a hole, the hole.

    path: the file; fields such as {name} stand for the source's name.
    label: the number of the area that is edited, in a file with a number for each; without it, the file is the mask.
    """
    return pictures.area(path, label, latents.canvas.height, latents.canvas.width)


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
    # [H, W]
    data = torch.zeros(height, width, dtype=latents.data.dtype, device=latents.data.device)
    data[round(top * height) : round(bottom * height), round(left * width) : round(right * width)] = 1
    return Mask(data)


@stage("mask", "color")
def color(source: SourceImage, *, name: str, tolerance: Annotated[float, Range(0, 1)] = 0.15) -> Mask:
    """Edit wherever the picture has this colour, in one place or many.

    Choose it for flat colours: a sky, a wall, a drawing.  Light and shade spread the colours of photographs, and then a
    tolerance wide enough for the thing takes other things too.

    name: the colour as "#rrggbb".
    tolerance: the most that red, green or blue may differ from it, as a fraction of their range; 0 wants that very
        colour, 1 takes all.
    """
    wanted = source.data.new_tensor(_channels(name))[:, None, None]  # [3, 1, 1]
    return Mask(((source.data - wanted).abs().amax(0) <= tolerance + _ROUNDING).to(source.data))


_ROUNDING = 1e-6  # of colours that a file holds in 8 bits


def _channels(name: str) -> list[float]:
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", name):
        raise ValueError(f"'{name}' is not a colour; write it as #rrggbb, such as #ff8000 for orange")
    return [value / 255 for value in bytes.fromhex(name[1:])]
