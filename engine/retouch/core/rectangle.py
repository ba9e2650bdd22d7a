"""A rectangle of whole pixels."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Rectangle(NamedTuple):
    """A rectangle of whole pixels: the first column and row inside, and the first ones beyond."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.bottom - self.top, self.right - self.left

    def of(self, data: Tensor) -> Tensor:
        """This part of a picture or a mask, as a view.  [..., H, W] -> [..., height, width]"""
        return data[..., self.top : self.bottom, self.left : self.right]

    def meeting(self, other: Rectangle) -> Rectangle | None:
        """What both hold, if anything."""
        left, top = max(self.left, other.left), max(self.top, other.top)
        right, bottom = min(self.right, other.right), min(self.bottom, other.bottom)
        return Rectangle(left, top, right, bottom) if left < right and top < bottom else None

    def around(self, other: Rectangle) -> Rectangle:
        """The least one that holds both."""
        left, top = min(self.left, other.left), min(self.top, other.top)
        return Rectangle(left, top, max(self.right, other.right), max(self.bottom, other.bottom))

    def moved(self, across: int, down: int) -> Rectangle:
        """The same, so many pixels farther to the right and below."""
        return Rectangle(self.left + across, self.top + down, self.right + across, self.bottom + down)

    def grown(self, by: int, size: tuple[int, int]) -> Rectangle:
        """The same with so many pixels more on each side, as far as a picture of this height and width goes."""
        height, width = size
        left, top = max(0, self.left - by), max(0, self.top - by)
        return Rectangle(left, top, min(width, self.right + by), min(height, self.bottom + by))

    def within(self, outer: Rectangle) -> Rectangle:
        """The same, counted from the corner of another."""
        return self.moved(-outer.left, -outer.top)
