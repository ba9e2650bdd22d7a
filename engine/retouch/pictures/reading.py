"""Read a picture file as 8-bit sRGB, upright, and say what had to be converted."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from retouch.pictures.colour import to_srgb
from retouch.pictures.opening import LARGEST, MAX_PIXELS, opened, orientation

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image


@dataclass(frozen=True, slots=True, eq=False)
class DecodedPicture:
    """A picture in memory, and what was lost or changed on the way."""

    rgb: NDArray[np.uint8]  # [H, W, 3], sRGB
    alpha: NDArray[np.uint8] | None  # [H, W], 255 is opaque
    notices: tuple[str, ...]


def read(
    path: str | os.PathLike[str], *, size: int | None = None, max_pixels: int = LARGEST, as_stored: bool = False
) -> DecodedPicture:
    """Decode a picture; `size` scales the longer side down to so many pixels, never up.

    as_stored: leave its rows and columns as they are in the file, whatever EXIF says of how to turn them.
    """
    import numpy as np

    image, notices = decoded(path, size=size, max_pixels=max_pixels, as_stored=as_stored)
    pixels = np.asarray(image)
    alpha = pixels[..., 3].copy() if pixels.shape[2] == 4 else None
    return DecodedPicture(np.ascontiguousarray(pixels[..., :3]), alpha, notices)


def decoded(
    path: str | os.PathLike[str], *, size: int | None = None, max_pixels: int = LARGEST, as_stored: bool = False
) -> tuple[Image, tuple[str, ...]]:
    """Decode as `read` does: an upright picture of Pillow's, RGB or RGBA, and what a user should know of it."""
    with opened(path, max_pixels) as image:
        turned = 1 if as_stored else orientation(image)
        # Whether frames or pages follow: to count them can take for ever, and to go to one is refused of large ones.
        # What follows in an MPO is a thumbnail or a depth map.
        more = image.format != "MPO" and getattr(image, "is_animated", False)
        notices = ["first of several pictures in the file"] if more else []
        wanted = scaled_size(
            image.size, size
        )  # of what a half is decoded of, the shorter side may be rounded otherwise
        # A large JPEG is decoded at a half, a quarter or an eighth, where twice the size that is wanted is left.
        if size and image.format in ("JPEG", "MPO") and image.width * image.height > MAX_PIXELS:
            image.draft(None, (2 * size, 2 * size))
        converted, changes = to_srgb(image)
        made = upright(_resized(converted, wanted), turned)
        made.info = {}  # or Pillow would write the source's profile and place of its own accord
        return made, (*notices, *changes)


def upright(image: Image, orientation: int) -> Image:
    """The picture turned as EXIF says."""
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    return image.transpose(turns[orientation]) if orientation in turns else image


def scaled(image: Image, size: int | None) -> Image:
    """The picture, its longer side no more than `size` pixels; a smaller one is as it was."""
    return _resized(image, scaled_size(image.size, size))


def _resized(image: Image, wanted: tuple[int, int]) -> Image:
    from PIL.Image import Resampling

    return image if wanted == image.size else image.resize(wanted, Resampling.LANCZOS)


def scaled_size(sides: tuple[int, int], size: int | None) -> tuple[int, int]:
    """Both sides, the longer one no more than `size`."""
    longer = max(sides)
    if size is None or longer <= size:
        return sides
    first, second = (max(1, round(side * size / longer)) for side in sides)
    return first, second
