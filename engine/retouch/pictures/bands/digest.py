"""The digest of a picture's pixels, made while its bands go by."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image


class PixelDigest:
    """The sha256 of size and pixels.  size: width and height of all of it."""

    def __init__(self, size: tuple[int, int]) -> None:
        self._sha256 = hashlib.sha256(f"{size[0]} x {size[1]}\n".encode())

    def update(self, band: Image) -> None:
        """Take the next rows."""
        self._sha256.update(band.convert("RGBA").tobytes())

    def hexdigest(self) -> str:
        """Of all that was taken."""
        return self._sha256.hexdigest()
