"""A cat, a dog and a hat in solids, after the drawings, with backs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from retouch_storybook.solids.shapes import Solid, placed
from retouch_storybook.world.colors import COAT, INK, RGB, WHITE, mix, shade

HAT: RGB = (62, 28, 112)
BAND: RGB = (246, 196, 64)
NOSE: RGB = (240, 130, 140)
SIDES = (-1, 1)


def animal(subject: Literal["cat", "dog"], color: str, accessory: Literal["hat"] | None = None) -> list[Solid]:
    """All solids of an animal, which looks along -y; about 2 units high, round the middle of the world."""
    coat = COAT[color]
    parts = [*_body(coat), *(_cat(coat) if subject == "cat" else _dog(coat))]
    return [*parts, *(_hat() if accessory else ())]


def _body(coat: RGB) -> Iterator[Solid]:
    light = mix(coat, WHITE, 0.45)
    yield placed("ball", (0, 0, -0.42), (0.46, 0.4, 0.52), coat)
    yield placed("ball", (0, -0.12, -0.44), (0.3, 0.31, 0.36), light)
    yield placed("ball", (0, 0, 0.38), (0.44, 0.4, 0.38), coat)
    for side in SIDES:
        yield placed("ball", (0.24 * side, -0.28, -0.88), (0.17, 0.22, 0.12), coat)
        yield placed("ball", (0.17 * side, -0.34, 0.46), (0.085, 0.06, 0.1), WHITE)
        yield placed("ball", (0.17 * side, -0.385, 0.46), (0.045, 0.035, 0.06), INK)


def _cat(coat: RGB) -> Iterator[Solid]:
    for side in SIDES:
        yield placed("cone", (0.28 * side, 0, 0.78), (0.17, 0.1, 0.2), coat, tilt=14 * side)
    yield placed("ball", (0, -0.39, 0.33), (0.05, 0.04, 0.035), NOSE)
    for i in range(7):  # the tail, in beads that touch
        yield placed("ball", (0.4 + 0.05 * i, 0.3, -0.72 + 0.13 * i), (0.1, 0.1, 0.1), coat)


def _dog(coat: RGB) -> Iterator[Solid]:
    dark = shade(coat, 0.6)
    for side in SIDES:
        yield placed("ball", (0.47 * side, 0, 0.34), (0.13, 0.2, 0.34), dark, tilt=-8 * side)
    yield placed("ball", (0, -0.34, 0.28), (0.18, 0.16, 0.13), mix(coat, WHITE, 0.6))
    yield placed("ball", (0, -0.48, 0.34), (0.075, 0.06, 0.055), INK)
    for i in range(4):
        yield placed("ball", (0.36 + 0.06 * i, 0.28, -0.66 + 0.1 * i), (0.09, 0.09, 0.09), coat)


def _hat() -> Iterator[Solid]:
    yield placed("tube", (0, 0, 0.74), (0.42, 0.42, 0.03), HAT)
    yield placed("tube", (0, 0, 0.94), (0.25, 0.25, 0.2), HAT)
    yield placed("tube", (0, 0, 0.81), (0.26, 0.26, 0.04), BAND)
