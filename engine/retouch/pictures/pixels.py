"""The digest of a picture's pixels, by which it is known whether somebody has changed them since."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from retouch.pictures import bands
from retouch.pictures.bands.digest import PixelDigest
from retouch.pictures.bands.file import in_bands
from retouch.pictures.opening import LARGEST, Unreadable, load_any_size, opened

if TYPE_CHECKING:
    from PIL.Image import Image


def digest_of_pixels(image: Image) -> str:
    """The sha256 of size and pixels, those as red, green, blue and alpha of 8 bits each, whatever the mode."""
    digest, (width, height) = PixelDigest(image.size), image.size
    rows = max(1, bands.BAND // max(1, width))
    for top in range(0, height, rows):
        digest.update(image.crop((0, top, width, min(height, top + rows))))
    return digest.hexdigest()


def pixels_at(path: str | os.PathLike[str]) -> str | None:
    """The digest of what a picture file holds; None if it cannot be read."""
    try:
        if found := in_bands(path, bands.BAND):
            digest = PixelDigest((found.width, found.height))
            for band in found.stored():
                digest.update(band)
            return digest.hexdigest()
        with opened(path, LARGEST) as image:
            load_any_size(image)
            return digest_of_pixels(image)
    except Unreadable:
        return None
