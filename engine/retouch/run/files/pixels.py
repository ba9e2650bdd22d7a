"""The pixels of a large picture, where they are: decoded, or still in the file; and as they are written."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from PIL import Image as Picture
from torch import Tensor

from retouch.core.errors import TooLarge
from retouch.core.large.stored import StoredImage, eight_bits
from retouch.core.rectangle import Rectangle
from retouch.core.values import Image
from retouch.pictures import MAX_PIXELS
from retouch.pictures.bands.file import FileInBands
from retouch.pictures.writing import joined, picture

_KEPT = 16_000_000  # pixels of a part that is kept, since `paste` asks for the one that `crop` has asked for


@dataclass(frozen=True, slots=True)
class Decoded:
    """A picture as Pillow holds it, RGB or RGBA: parts of it are bytes for the engine."""

    picture: Picture.Image

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.picture.height, self.picture.width

    @property
    def channels(self) -> int:
        """3, or 4 with alpha."""
        return len(self.picture.getbands())

    def part(self, box: Rectangle) -> Tensor:
        """Bytes of a part.  uint8 [h, w, channels].  Raises TooLarge."""
        check_size(box)
        return torch.from_numpy(np.array(self.picture.crop(box)))

    def bands(self, rows: int) -> Iterator[Tensor]:
        """All of it, so many rows at a time.  uint8 [rows, W, channels]"""
        height, width = self.size
        for top in range(0, height, rows):
            yield torch.from_numpy(np.array(self.picture.crop((0, top, width, min(height, top + rows)))))


@dataclass(frozen=True, slots=True)
class InFile:
    """A picture whose rows are decoded when they are asked for."""

    file: FileInBands
    _kept: dict[Rectangle, Tensor] = field(default_factory=dict[Rectangle, Tensor])

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.file.height, self.file.width

    @property
    def channels(self) -> int:
        """3, or 4 with alpha."""
        return len(self.file.mode)

    def part(self, box: Rectangle) -> Tensor:
        """Bytes of a part.  uint8 [h, w, channels].  Raises TooLarge."""
        check_size(box)
        if (kept := self._kept.get(box)) is not None:
            return kept.clone()
        height, width = box.size
        made = torch.empty(height, width, self.channels, dtype=torch.uint8)
        for first, band in self.file.bands(box.top, box.bottom):
            top, bottom = max(box.top, first), min(box.bottom, first + band.height)
            rows = np.array(band.crop((box.left, top - first, box.right, bottom - first)))
            made[top - box.top : bottom - box.top] = torch.from_numpy(rows)
        if height * width <= _KEPT:
            self._kept.clear()
            self._kept[box] = made.clone()
        return made

    def bands(self, rows: int) -> Iterator[Tensor]:
        """All of it, so many rows at a time.  uint8 [rows, W, channels]"""
        waiting = torch.empty(0, self.file.width, self.channels, dtype=torch.uint8)
        for _, band in self.file.bands():
            waiting = torch.cat((waiting, torch.from_numpy(np.array(band))))
            while len(waiting) >= rows:
                yield waiting[:rows].clone()
                waiting = waiting[rows:].clone()
        if len(waiting):
            yield waiting


@dataclass(frozen=True, slots=True)
class Laid:
    """A large picture as it is written: some rows at a time, with what was edited over them."""

    image: StoredImage

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, as Pillow has them."""
        height, width = self.image.size
        return width, height

    @property
    def mode(self) -> str:
        """RGB or RGBA."""
        return "RGBA" if self.image.pixels.channels == 4 else "RGB"

    def bands(self, rows: int) -> Iterator[Picture.Image]:
        """So many rows at a time."""
        return (Picture.fromarray(band.numpy()) for band in self.image.bands(rows))


def check_size(box: Rectangle) -> None:
    """Raise TooLarge for a part of which no numbers are made: checks see headers, and not how large a window gets."""
    if (count := math.prod(box.size)) > MAX_PIXELS:
        raise TooLarge(count)


def drawn(image: Image) -> Picture.Image:
    """The picture as Pillow has it.  What was not edited of a large one has never been numbers."""
    if isinstance(image, StoredImage):
        return joined(Laid(image))
    alpha = None if image.alpha is None else as_bytes(image.alpha)
    return picture(as_bytes(image.data.permute(1, 2, 0)), alpha)


def as_bytes(unit: Tensor) -> np.ndarray:
    """[0, 1] to 8 bits; what came from 8 bits goes back to the same."""
    return eight_bits(unit).cpu().numpy()
