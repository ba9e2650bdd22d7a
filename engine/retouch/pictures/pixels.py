"""The digest of a picture's pixels, by which it is known whether somebody has changed them since."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from retouch.pictures.opening import LARGEST, Unreadable, opened

if TYPE_CHECKING:
    from PIL.Image import Image

_BAND = 1_000_000  # pixels that are looked at together


class PixelDigest:
    """The same of a picture that comes in bands.  size: width and height of all of it."""

    def __init__(self, size: tuple[int, int]) -> None:
        self._sha256 = hashlib.sha256(f"{size[0]} x {size[1]}\n".encode())

    def update(self, band: Image) -> None:
        """Take the next rows."""
        self._sha256.update(band.convert("RGBA").tobytes())

    def hexdigest(self) -> str:
        """Of all that was taken."""
        return self._sha256.hexdigest()


def digest_of_pixels(image: Image) -> str:
    """The sha256 of size and pixels, those as red, green, blue and alpha of 8 bits each, whatever the mode."""
    digest, (width, height) = PixelDigest(image.size), image.size
    rows = max(1, _BAND // max(1, width))
    for top in range(0, height, rows):
        digest.update(image.crop((0, top, width, min(height, top + rows))))
    return digest.hexdigest()


def pixels_at(path: str | os.PathLike[str]) -> str | None:
    """The digest of what a picture file holds; None if it cannot be read."""
    try:
        with opened(path, LARGEST) as image:
            return digest_of_pixels(image)
    except Unreadable:
        return None
