"""A pen that draws in the subject's own measure, so that a drawing reads like a description of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL.ImageDraw import ImageDraw

from retouch_storybook.world.colors import RGB, WHITE, mix

Point = tuple[float, float]  # right, up
Corners = tuple[float, float, float, float]  # left, top, right, bottom
HAIRLINE = 1  # pixels
BOTH_SIDES = (-1, 1)


@dataclass(frozen=True, slots=True)
class Pen:
    """Points are (right, up) from where the subject touches the ground; one unit is half the width of a head.

    Ovals are given by centre and radii, boxes by left, top, right and bottom.  An edge is as wide as every outline,
    unless its width is given in pixels.
    """

    draw: ImageDraw
    ground: Point  # pixels
    unit: float  # pixels
    coat: RGB
    outline: RGB

    @property
    def light(self) -> RGB:
        """The coat's own paler colour, for bellies and highlights."""
        return mix(self.coat, WHITE, 0.45)

    @property
    def stroke(self) -> int:
        """Width of an outline in pixels."""
        return max(3, self.pixels(0.07))

    def pixels(self, units: float) -> int:
        """Turn a length into whole pixels, rounded down."""
        return int(units * self.unit)

    def oval(
        self, x: float, y: float, rx: float, ry: float, fill: RGB | None, edge: RGB | None = None, width: int = 0
    ) -> None:
        self.draw.ellipse(self._around(x, y, rx, ry), fill, edge, width or self.stroke)

    def disc(
        self, x: float, y: float, radius: float, fill: RGB | None, edge: RGB | None = None, width: int = 0
    ) -> None:
        self.oval(x, y, radius, radius, fill, edge, width)

    def arc(self, x: float, y: float, rx: float, ry: float, degrees: Point, color: RGB, width: int) -> None:
        """Draw part of an oval, clockwise between two angles from three o'clock."""
        self.draw.arc(self._around(x, y, rx, ry), *degrees, fill=color, width=width)

    def box(self, corners: Corners, fill: RGB, edge: RGB | None = None, width: int = 0) -> None:
        self.draw.rectangle(self._between(*corners), fill, edge, width or self.stroke)

    def pill(self, corners: Corners, radius: float, fill: RGB, edge: RGB | None = None) -> None:
        """Draw a box whose corners are round."""
        self.draw.rounded_rectangle(self._between(*corners), radius * self.unit, fill, edge, self.stroke)

    def shape(self, points: Sequence[Point], fill: RGB, edge: RGB | None = None) -> None:
        """Draw a polygon; its edge is a hairline."""
        self.draw.polygon([self._at(*point) for point in points], fill, edge, HAIRLINE)

    def line(self, points: Sequence[Point], color: RGB, width: int) -> None:
        """Draw through points, round at the joints."""
        self.draw.line([self._at(*point) for point in points], color, width, joint="curve")

    def _at(self, x: float, y: float) -> Point:
        return self.ground[0] + x * self.unit, self.ground[1] - y * self.unit

    def _between(self, left: float, top: float, right: float, bottom: float) -> Corners:
        return *self._at(left, top), *self._at(right, bottom)

    def _around(self, x: float, y: float, rx: float, ry: float) -> Corners:
        return self._between(x - rx, y + ry, x + rx, y - ry)
