"""Tiles that overlap, each edited by itself and mixed by ramps.  Ackermann and Li 2022, arXiv:2210.12965, section 3."""

from __future__ import annotations

from typing import Annotated

import torch

from retouch.api import (
    Codec,
    Image,
    Mask,
    Need,
    Range,
    Rectangle,
    Turn,
    Turned,
    gather,
    on_host,
    stage,
    tile_grid,
    tile_ramp,
)


@stage(
    "tiles",
    "ramps",
    default=True,
    paper="arXiv:2210.12965",
    rows="(0 if mask else turn * (tiles(height, size if size else side, overlap) * "
    "tiles(width, size if size else side, overlap) if height and not about else 1), "
    "turn * (tiles(height, size if size else side, overlap) * tiles(width, size if size else side, overlap) "
    "if height else 1000))",
    needs=(
        Need(
            "turn_resizes == 0",
            "is given a flow that gives its pictures back at another size",
            "resize outside of the brackets, or edit a window at a size of its own: (mask … | crop size=… | … | paste)",
        ),
    ),
)
async def ramps(
    image: Image,
    turn: Turn,
    codec: Codec,
    mask: Mask | None = None,
    *,
    size: Annotated[int, Range(0, 8192, "pixels")] = 0,
    overlap: Annotated[float, Range(0, 0.75)] = 0.25,
    at_once: Annotated[int, Range(1, 256, "tiles")] = 16,
) -> Image:
    """Send overlapping tiles of the picture through a flow, and mix them by ramps where they overlap.

    Choose it for pictures larger than the model takes.  With a mask only tiles that hold masked pixels are edited, and
    what is outside of it keeps its bytes.  Each tile is edited by itself, so things larger than one come out as
    several: edit those at a smaller size first.

    size: pixels of a tile's side, 0 for the model's own.
    overlap: of two neighbours, as a share of a tile's side; over it one fades into the other.
    at_once: how many tiles are in memory together.
    """
    side = size or codec.side
    area = None if mask is None else mask.pixels(*image.size).to(image.data)
    boxes = tile_grid(image.size, side, int(overlap * side))
    if area is not None:
        edited = await on_host(torch.stack([box.of(area).any() for box in boxes]))
        boxes = [box for box, some in zip(boxes, edited.tolist(), strict=True) if some]
    total, weight = torch.zeros_like(image.data), torch.zeros_like(image.data[:1])
    for start in range(0, len(boxes), at_once):
        some = boxes[start : start + at_once]
        made = await gather(_edited(image, turn, area, box) for box in some)
        for box, tile in zip(some, made, strict=True):
            share = tile_ramp(box, image.size, int(overlap * side), image.data)
            box.of(total).add_(tile.image.data.to(total) * share)
            box.of(weight).add_(share)
    data = torch.where(weight > 0, total / weight.clamp(min=1e-6), image.data).clamp(0, 1)
    if area is not None:
        data = torch.where(area > 0, torch.lerp(image.data, data, area), image.data)
    return Image(data, image.alpha)


async def _edited(image: Image, turn: Turn, area: torch.Tensor | None, box: Rectangle) -> Turned:
    part = Image(box.of(image.data).clone(), None)
    made = await turn(part, mask=None if area is None else Mask(box.of(area).clone()), key=f"{box.top},{box.left}")
    if made.image.size != box.size:
        raise ValueError(f"a tile of {list(box.size)} pixels came back as {list(made.image.size)}")
    return made
