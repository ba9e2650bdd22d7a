"""Where overlapping tiles lie on a picture, and how much of a pixel is each tile's."""

from __future__ import annotations

import torch
from torch import Tensor

from retouch.core.rectangle import Rectangle


def starts(length: int, side: int, overlap: int) -> list[int]:
    """Where tiles of one side begin along a picture's; they are as few as can be, and evenly spread."""
    side = min(side, length)
    count = 1 if length <= side else -(-(length - overlap) // (side - overlap))
    return [round(i * (length - side) / max(count - 1, 1)) for i in range(count)]


def tile_grid(size: tuple[int, int], side: int, overlap: int, unit: int = 1) -> list[Rectangle]:
    """Tiles that cover a picture of this height and width, row by row, no side longer than `side`.

    unit: of which all edges are multiples, as `size`, `side` and `overlap` are.
    """
    (height, width), side, overlap = (length // unit for length in size), side // unit, overlap // unit
    tall, wide = min(side, height), min(side, width)
    return [
        Rectangle(left * unit, top * unit, (left + wide) * unit, (top + tall) * unit)
        for top in starts(height, side, overlap)
        for left in starts(width, side, overlap)
    ]


def tile_ramp(box: Rectangle, size: tuple[int, int], overlap: int, like: Tensor) -> Tensor:
    """How much a tile counts: 1 in its middle, falling to its edges, but not to those of the picture.  [h, w]"""
    (height, width), (tall, wide) = box.size, size
    down = _along(height, overlap, free=(box.top == 0, box.bottom == tall), like=like)
    across = _along(width, overlap, free=(box.left == 0, box.right == wide), like=like)
    return down[:, None] * across[None]


def _along(length: int, overlap: int, *, free: tuple[bool, bool], like: Tensor) -> Tensor:  # [length], in [0, 1]
    places = torch.arange(length, dtype=like.dtype, device=like.device)
    reach, ones = overlap + 1, torch.ones_like(places)
    rising = ones if free[0] else ((places + 1) / reach).clamp(max=1)
    falling = ones if free[1] else ((length - places) / reach).clamp(max=1)
    return torch.minimum(rising, falling)
