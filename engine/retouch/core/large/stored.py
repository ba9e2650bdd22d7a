"""Pictures and masks that are larger than memory likes: made into numbers a part at a time.

A picture of 12,000 × 8,000 is 1.2 GB as numbers, and an edit of it wants a thousandth of them.  So what was opened
stays as the bytes that it is, what was edited lies over it, and a mask is kept where it holds anything.  All of it has
the bits that it would have whole: a number depends on its own byte alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from retouch.core.device.transfer import upload
from retouch.core.large.window import Window
from retouch.core.rectangle import Rectangle
from retouch.core.turn import Candidates, Ranked, Turned
from retouch.core.values import Image, Mask, TrainingPictures

LARGE = 4_000_000  # pixels from which on a picture is kept as bytes, and a mask where it holds anything


T = TypeVar("T")


class StoredPixels(Protocol):
    """A picture of 8 bits that gives any part of it; it never changes."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        ...

    @property
    def channels(self) -> int:
        """3 for red, green and blue, 4 with alpha."""
        ...

    def part(self, box: Rectangle) -> Tensor:
        """Bytes of a part.  uint8 [h, w, channels], of which whoever asks may do as they like"""
        ...

    def bands(self, rows: int) -> Iterator[Tensor]:
        """All of it from the top, so many rows at a time; the last ones may be fewer.  uint8 [rows, W, channels]"""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class PixelPatch:
    """A part of a picture that was edited: colours [3, h, w] in [0, 1] that lie over what was there."""

    box: Rectangle
    data: Tensor


class StoredImage(Image):
    """A picture whose numbers are made when they are asked for: of a part alone, wherever a stage asks for a part.

    pixels: what was opened.  patches: what lies over it, later ones on top.  device: where numbers are made.
    """

    __slots__ = ("device", "patches", "pixels")

    pixels: StoredPixels
    patches: tuple[PixelPatch, ...]
    device: torch.device

    def __init__(self, pixels: StoredPixels, device: torch.device, patches: tuple[PixelPatch, ...] = ()) -> None:
        for name, value in (("pixels", pixels), ("device", device), ("patches", patches)):
            object.__setattr__(self, name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        return Image, (self.data, self.alpha)

    @property
    def data(self) -> Tensor:  # pyright: ignore[reportIncompatibleVariableOverride]
        """All of it, made anew each time.  [3, H, W]"""
        return self._colours(self._all)

    @property
    def alpha(self) -> Tensor | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """All of it, made anew each time.  [H, W]"""
        return self._opacity(self._all)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.pixels.size

    @property
    def like(self) -> Tensor:
        """No number, of the precision and on the device that numbers have."""
        return torch.empty(0, device=self.device)

    def part(self, box: Rectangle) -> Image:
        """What lies in a box, in memory of its own."""
        return Image(self._colours(box), self._opacity(box))

    def patched(self, box: Rectangle, data: Tensor) -> Image:
        """The same picture with these colours [3, h, w] in a box."""
        return StoredImage(self.pixels, self.device, (*self.patches, PixelPatch(box, data)))

    def bands(self, rows: int) -> Iterator[Tensor]:
        """Bytes of all of it, patches on top, so many rows at a time.  uint8 [rows, W, channels], on the host"""
        top = 0
        for band in self.pixels.bands(rows):
            here = Rectangle(0, top, band.shape[1], top + len(band))
            for patch in self.patches:
                if shared := here.meeting(patch.box):
                    colours = eight_bits(shared.within(patch.box).of(patch.data)).cpu()
                    shared.within(here).of(band.permute(2, 0, 1)[:3]).copy_(colours)
            yield band
            top += len(band)

    @property
    def _all(self) -> Rectangle:
        height, width = self.size
        return Rectangle(0, 0, width, height)

    def _colours(self, box: Rectangle) -> Tensor:
        stored = self.pixels.part(box)[..., :3]
        made = unit(upload(stored.permute(2, 0, 1).contiguous(), self.device))
        for patch in self.patches:
            if shared := box.meeting(patch.box):
                shared.within(box).of(made).copy_(shared.within(patch.box).of(patch.data))
        return made

    def _opacity(self, box: Rectangle) -> Tensor | None:
        if self.pixels.channels == 3:
            return None
        return unit(upload(self.pixels.part(box)[..., 3].contiguous(), self.device))


class PlacedMask(Mask):
    """A mask of pixels that is 0 outside of a box, and kept inside of it alone.

    whole: height and width of its picture.  box: where it may be more than 0.  inner: Tensor  # [h, w] of the box
    """

    __slots__ = ("box", "inner", "whole")

    inner: Tensor
    box: Rectangle
    whole: tuple[int, int]

    def __init__(self, inner: Tensor, box: Rectangle, whole: tuple[int, int]) -> None:
        for name, value in (("inner", inner), ("box", box), ("whole", whole)):
            object.__setattr__(self, name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        return PlacedMask, (self.inner, self.box, self.whole)

    @property
    def data(self) -> Tensor:  # pyright: ignore[reportIncompatibleVariableOverride]
        """All of it, made anew each time.  [H, W]"""
        return self.part(Rectangle(0, 0, self.whole[1], self.whole[0]))

    @property
    def scale(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Pixels a cell."""
        return 1

    @property
    def known(self) -> tuple[Tensor, bool]:
        """What of it is kept, and whether that is all."""
        return self.inner, self.box.size == self.whole

    def part(self, box: Rectangle) -> Tensor:
        """The numbers in a box of its picture.  [h, w]"""
        made = self.inner.new_zeros(*box.size)
        if shared := box.meeting(self.box):
            shared.within(box).of(made).copy_(shared.within(self.box).of(self.inner))
        return made

    def bounded(self, held: Tensor) -> Rectangle | None:
        """The least box that holds all of it; None where it is 0 everywhere."""
        found = Mask(self.inner).bounded(held)
        return found and found.moved(self.box.left, self.box.top)

    def mapped(self, make: Callable[[Tensor], Tensor], reach: int = 0) -> Mask:
        """What a function of cells makes of it that sees no farther than `reach`, and leaves nothing nothing."""
        box = self.box.grown(reach, self.whole)
        return PlacedMask(make(self.part(box)), box, self.whole)

    def mixed(self, make: Callable[[Tensor, Tensor], Tensor], other: Mask) -> Mask:
        """What a function of this and another mask of the same picture makes, that leaves nothing nothing."""
        if not isinstance(other, PlacedMask) or other.whole != self.whole:
            return Mask(make(self.data, other.data))
        box = self.box.around(other.box)
        return PlacedMask(make(self.part(box), other.part(box)), box, self.whole)

    def of_pixels(self, height: int, width: int) -> Mask:
        """Itself, if it is of a picture of this size.  Raises ValueError."""
        if self.whole != (height, width):
            raise ValueError(f"the mask is {list(self.whole)}, and the picture wants {[height, width]}")
        return self


def box_mask(box: Rectangle, size: tuple[int, int], like: Tensor) -> Mask:
    """A mask of pixels that is 1 in a box of a picture of this height and width, and 0 elsewhere.

    like: of the precision and on the device that it is to have.
    """
    if size[0] * size[1] < LARGE:
        data = like.new_zeros(*size)
        box.of(data).fill_(1)
        return Mask(data)
    if not math.prod(box.size):
        return PlacedMask(like.new_zeros(1, 1), Rectangle(0, 0, 1, 1), size)
    return PlacedMask(like.new_ones(*box.size), box, size)


def whole(value: T) -> T:
    """A picture or a mask with all of its numbers, and a value that holds some with whole ones; else itself."""
    made: Any = value
    match made:
        case StoredImage():
            made = Image(made.data, made.alpha)
        case PlacedMask():
            made = Mask(made.data)
        case Window() | Turned() | Candidates() | Ranked() | TrainingPictures():
            made = replace(made, **{each.name: whole(getattr(made, each.name)) for each in fields(made)})
        case tuple() if type(made) is tuple:
            made = tuple(map(whole, made))
        case _:
            pass
    return made


def unit(eight_bits: Tensor) -> Tensor:
    """0 to 255 as [0, 1]; the same bits on every device."""
    numbers = eight_bits.float()
    # Correctly rounded: by a plain number, CUDA would multiply by its rounded inverse.  In place, for photographs.
    return numbers.div_(torch.full((), 255, dtype=numbers.dtype, device=numbers.device))


def eight_bits(unit: Tensor) -> Tensor:
    """[0, 1] as 0 to 255; what came from 8 bits goes back to the same."""
    return unit.clamp(0, 1).mul_(255).round_().to(torch.uint8)
