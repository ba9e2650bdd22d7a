"""A tree or a ball that stands outdoors and can be walked round: what the model knows from every side.

Both are as the drawings have them, as large and at the same height in the picture, in flat colours, under a sky that is
painted by direction, on a ground that is painted by place: so each view looks like a drawing of the world.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from retouch_storybook.solids.rendering import AWAY, picture, poses_at, traced
from retouch_storybook.solids.shapes import Rays, Shape, Solid, placed
from retouch_storybook.world.colors import COAT, INK, RGB, WHITE, mix
from retouch_storybook.world.settings import GROUND, SEA, SKY
from retouch_storybook.world.things import TRUNK

FLOOR = -1.0  # where the ground lies
UNIT = 0.37  # of the world, half the width of a head in the drawings
UP = 0.05  # radians by which cameras look up, so that the horizon lies where drawings have it
SKY_ENDS = 0.41  # tangent of the elevation at the upper edge of a picture
SEA_ENDS = 0.125
HALF_WIDE = 0.8  # of what stands there, from the middle
BEHIND = 3.3  # the middle, where surroundings may lie
FADES = 3.0  # how far from the middle the ground has its far colour
SHADOW = 1.3, 90 / 255  # its radius in units of the drawing, and how much of it is ink

Outdoors = Literal["in a meadow", "on a beach", "in the snow", "in a desert", "at night"]


@dataclass(frozen=True, slots=True)
class OutdoorThing:
    """What stands outdoors by itself."""

    subject: Literal["tree", "ball"]
    color: str
    setting: Outdoors

    @property
    def bounds(self) -> str:
        """Between which depths there is something, for who fits a field: else it fills with fog before the cameras."""
        return f"near={AWAY - HALF_WIDE:g} far={AWAY + BEHIND:g}"

    def caption(self) -> str:
        """Say all of it: 'an orange tree in a meadow'."""
        return f"{'an' if self.color[0] in 'aeiou' else 'a'} {self.color} {self.subject} {self.setting}"

    def places(self, count: int, shift: float = 0.0) -> list[np.ndarray]:
        """Poses on a circle round it, at one height, so that all see one horizon.  shift: of the step between two"""
        return poses_at([(2 * math.pi * (i + shift) / count, -UP) for i in range(count)])

    def seen(self, pose: np.ndarray, size: int = 64) -> Image.Image:
        """The picture from a pose, RGB."""
        return picture(self._colors, pose, size, "RGB")

    def _colors(self, origins: Rays, directions: Rays) -> np.ndarray:
        met, color, _ = traced(list(_SOLIDS[self.subject](COAT[self.color])), origins, directions)
        return np.where(np.isfinite(met)[:, None], color, self._behind(origins, directions))

    def _behind(self, origins: Rays, directions: Rays) -> np.ndarray:
        """Sky, sea and ground, the latter with a shadow under the thing.  [R, 3]"""
        rise = directions[:, 2] / np.hypot(directions[:, 0], directions[:, 1]).clip(1e-9)
        high = _between(SKY[self.setting], 1 - rise / SKY_ENDS)
        if self.setting == "on a beach":
            high = np.where((rise < SEA_ENDS)[:, None], _between(SEA, 1 - rise / SEA_ENDS), high)
        down = directions[:, 2] < 0
        t = (FLOOR - origins[:, 2]) / np.where(down, directions[:, 2], -1)
        away = np.hypot(*(origins + directions * t[:, None])[:, :2].T)
        low = _between(GROUND[self.setting], 1 - away / FADES)
        radius, share = SHADOW
        low = np.where((away < radius * UNIT)[:, None], low * (1 - share) + np.array(INK) * share, low)
        return np.where(down[:, None], low, high)


def _between(ends: tuple[RGB, RGB], share: np.ndarray) -> np.ndarray:
    part = share.clip(0, 1)[:, None]
    return np.array(ends[0]) * (1 - part) + np.array(ends[1]) * part


def _tree(coat: RGB) -> Iterator[Solid]:
    """The drawing's crown of discs as balls, and its pale dots all round."""
    light = mix(coat, WHITE, 0.45)
    yield _at("tube", (0, 0, 0.75), (0.28, 0.28, 0.75), TRUNK)
    yield _at("ball", (0, 0, 2.7), (1, 1, 1), coat)
    for k in range(5):
        yield _at("ball", (*_ring(0.75, k / 5), 1.9), (0.85, 0.85, 0.85), coat)
    for k in range(7):
        yield _at("ball", (*_ring(1.42, k / 7), 1.9 + 0.35 * (k % 2)), (0.2, 0.2, 0.2), light)
        yield _at("ball", (*_ring(0.92, k / 7 + 0.07), 2.95 + 0.1 * (k % 2)), (0.18, 0.18, 0.18), light)


def _ball(coat: RGB) -> Iterator[Solid]:
    """Without the drawing's seams, which always face whoever looks."""
    yield _at("ball", (0, 0, 1.3), (1.3, 1.3, 1.3), coat)


def _ring(radius: float, part: float) -> tuple[float, float]:
    return radius * math.cos(2 * math.pi * part), radius * math.sin(2 * math.pi * part)


def _at(shape: Shape, middle: tuple[float, float, float], radii: tuple[float, float, float], color: RGB) -> Solid:
    """A solid in the drawing's own measure, above where the thing stands."""
    x, y, z = (UNIT * each for each in middle)
    return placed(shape, (x, y, FLOOR + z), tuple(UNIT * each for each in radii), color)


_SOLIDS = {"tree": _tree, "ball": _ball}
