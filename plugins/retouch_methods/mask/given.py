"""Masks that the user gives."""

from __future__ import annotations

from typing import Annotated

from retouch.api import (
    Frame,
    Mask,
    Need,
    Pattern,
    Pictures,
    Range,
    Rectangle,
    SourceImage,
    Window,
    box_mask,
    stage,
    upload_numbers,
)

Color = Annotated[str, Pattern("#[0-9a-fA-F]{6}", "a colour as #rrggbb", "#ff8000")]


@stage("mask", "file", facts={"parts": 1})
def file(
    frame: Frame,
    pictures: Pictures,
    window: Window | None = None,
    *,
    path: str,
    label: Annotated[int, Range(0, 65535, "the file's numbers")] | None = None,
) -> Mask:
    """Read a mask from a picture of the source's size: white is edited, black is kept, grey is mixed.

    On a transparent layer, what was painted is edited; of a picture with a hole, the hole.
    Behind `crop` it is the whole picture's, of which the window's part counts.

    path: the file; fields such as {name} stand for the source's name.
    label: the number of the area that is edited, in a file with a number for each; without it, the file is the mask.
    """
    if window is None:
        return pictures.area(path, label, *frame.size)
    return window.seen(pictures.area(path, label, *window.original)).resized(*frame.size)


@stage(
    "mask",
    "box",
    needs=(
        Need("left != right", "is as wide as nothing: left and right are {left}", "write two numbers"),
        Need("left <= right", "has its left side right of its right one", "write left={right} right={left}"),
        Need("top != bottom", "is as high as nothing: top and bottom are {top}", "write two numbers"),
        Need("top <= bottom", "has its top below its bottom", "write top={bottom} bottom={top}"),
    ),
    facts={"parts": 1, "full": "left == 0 and top == 0 and right == 1 and bottom == 1"},
)
def box(
    frame: Frame,
    *,
    left: Annotated[float, Range(0, 1)] = 0.0,
    top: Annotated[float, Range(0, 1)] = 0.0,
    right: Annotated[float, Range(0, 1)] = 1.0,
    bottom: Annotated[float, Range(0, 1)] = 1.0,
) -> Mask:
    """Edit inside a rectangle.

    left, right: its sides, as fractions of the picture's width from the left; behind `crop`, of the window's.
    top, bottom: its sides, as fractions of the picture's height from the top; behind `crop`, of the window's.
    """
    height, width = frame.size
    inside = Rectangle(round(left * width), round(top * height), round(right * width), round(bottom * height))
    return box_mask(inside, (height, width), frame.like)


@stage("mask", "color", facts={"full": "tolerance == 1"})
def color(source: SourceImage, *, name: Color, tolerance: Annotated[float, Range(0, 1)] = 0.15) -> Mask:
    """Edit wherever the picture has this colour, in one place or many.

    Choose it for flat colours: a sky, a wall, a drawing.  Light and shade spread the colours of photographs, and then a
    tolerance wide enough for the thing takes other things too.

    name: the colour as "#rrggbb".
    tolerance: the most that red, green or blue may differ from it, as a fraction of their range; 0 wants that very
        colour, 1 takes all.
    """
    rgb = [value / 255 for value in bytes.fromhex(name[1:])]
    wanted = upload_numbers(rgb, source.data.dtype, source.data.device)[:, None, None]  # [3, 1, 1]
    return Mask(((source.data - wanted).abs().amax(0) <= tolerance + _ROUNDING).to(source.data))


_ROUNDING = 1e-6  # of colours that a file holds in 8 bits
