"""A window round the mask: where to cut it, what is seen of it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Annotated, Literal

from retouch.api import Codec, Frame, Image, Mask, NothingMasked, Range, Rectangle, Window, on_host, resized, stage


@stage(
    "crop",
    "window",
    default=True,
    facts={"height": "size if size else side", "width": "size if size else side", "about": 1, "parts": 1},
)
async def crop(
    image: Image,
    mask: Mask,
    codec: Codec,
    outer: Window | None = None,
    *,
    context: Annotated[float, Range(0, 10, "of the mask's sides")] = 0.5,
    shape: Literal["square", "mask"] = "square",
    size: Annotated[int, Range(0, 8192, "pixels")] = 0,
    least: Annotated[int, Range(0, 8192, "pixels")] = 0,
) -> Window:
    """Go on with a window round the mask alone, at the size that the model was trained on; `paste` puts it back.

    Choose it for pictures larger than the model takes, and for things that are small in theirs.  Up to `paste`, the
    picture is the window's, and so is the mask.  A window ends where the picture does.

    context: what of its surroundings the model sees, on each side, as a share of the mask's sides; 0 is none.
    shape: "square" is what models are trained on, and lets windows of many pictures share calls; "mask" follows the
        mask's sides, for things that are long or high.
    size: pixels of the longer side that is edited; 0 for the model's own.
    least: pixels of the picture that a side of the window has at least; 0 for half of what is edited, so that no pixel
        is made more than twice as large.
    """
    longer = codec.padded(size or codec.side, 1)[0]
    area = mask.of_pixels(*image.size)
    if (held := area.bounded(await on_host(area.held))) is None:
        raise NothingMasked
    box = _grown(held, image.size, context, least or longer // 2, square=shape == "square")
    box = _filled(box, image.size, longer, codec)
    height, width = (max(1, round(side * longer / max(box.size))) for side in box.size)
    part = image.part(box)
    alpha = None if part.alpha is None else resized(part.alpha, height, width)
    seen = Image(resized(part.data, height, width), alpha)
    return Window(image, box, seen, Mask(area.part(box).clone()), outer)


@stage("view", "image", default=True)
def view_image(window: Window) -> Image:
    """What the window shows, at the size that is edited."""
    return window.image


@stage("view", "mask")
def view_mask(window: Window) -> Mask:
    """What of the window is to be edited, at the size that is edited."""
    return window.mask.resized(*window.image.size)


@stage("mask", "window")
def mask_window(window: Window, frame: Frame) -> Mask:
    """Edit what the window was cropped round, at the size that its picture has now: after a turn, or `upscale`."""
    return window.mask.resized(*frame.size)


def seen_at(window: Window, image: Image) -> Window:
    """The window, seen at the size that its picture has come to.  Raises ValueError where that is another shape."""
    (height, width), (tall, wide) = image.size, window.image.size
    if abs(height * wide - width * tall) > max(tall, wide):
        raise ValueError(f"the window is {[tall, wide]}, and what came of it {[height, width]}, which is another shape")
    return replace(window, image=Image(resized(window.whole.part(window.box).data, height, width)))


def _grown(box: Rectangle, picture: tuple[int, int], context: float, least: int, *, square: bool) -> Rectangle:
    """The box with its context, as far as the picture [height, width] goes."""
    height, width = (max(least, math.ceil(side * (1 + 2 * context))) for side in box.size)
    if square:
        # A square of less context, where the picture has no more; no square, where the mask alone is longer.
        height = width = min(max(height, width), max(min(picture), *box.size))
    return _around(box, height, width, picture)


def _filled(box: Rectangle, picture: tuple[int, int], longer: int, codec: Codec) -> Rectangle:
    """The box with its shorter side as long as the model's next multiple, so that pixels fill it and no padding."""
    each = max(box.size) / longer  # pixels of the picture for one that is edited
    whole = codec.padded(*(max(1, round(side / each)) for side in box.size))
    height, width = (max(side, round(wanted * each)) for side, wanted in zip(box.size, whole, strict=True))
    return _around(box, height, width, picture)


def _around(box: Rectangle, height: int, width: int, picture: tuple[int, int]) -> Rectangle:
    """A box of this size with another in its middle, moved and cut so that it lies in the picture."""
    top, bottom = _along(box.top, box.bottom, height, picture[0])
    left, right = _along(box.left, box.right, width, picture[1])
    return Rectangle(left, top, right, bottom)


def _along(start: int, stop: int, length: int, end: int) -> tuple[int, int]:
    length = min(length, end)
    first = min(max((start + stop - length) // 2, 0), end - length)
    return first, first + length
