"""A drawing taken apart: every primitive that it is made of lands on a card of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from PIL import Image, ImageDraw

from retouch_storybook.world.settings import SIDE

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Card:
    """What was drawn by one stroke, on an empty canvas of SIDE by SIDE pixels, RGBA.

    box: left, top, right and bottom that were asked for.
    """

    box: Box
    picture: Image.Image


class Recorder:
    """Stands in for ImageDraw.  With `ground`, lines of a backdrop go onto that picture, and things onto cards.

    A line that stands upright is part of a thing, such as the bar of a window.
    """

    def __init__(self, ground: Image.Image | None = None) -> None:
        self.cards: list[Card] = []
        self._ground = ground

    def line(self, points: Any, *args: Any, **how: Any) -> None:
        """Draw a line of a backdrop; of a thing, a card."""
        (x, y), (right, bottom) = points[0], points[-1]
        if self._ground is None or x == right:
            self._card("line", (x, y, right, bottom), points, *args, **how)
        else:
            ImageDraw.Draw(self._ground).line(points, *args, **how)

    def __getattr__(self, name: str) -> Callable[..., None]:
        """Any other stroke of ImageDraw."""

        def draw(place: Any, *args: Any, **how: Any) -> None:
            flat = np.asarray(place, dtype=float).reshape(-1, 2)
            box = (*flat.min(0), *flat.max(0))
            self._card(name, cast("Box", tuple(float(each) for each in box)), place, *args, **how)

        return draw

    @property
    def pen(self) -> ImageDraw.ImageDraw:
        """This, where an ImageDraw is asked for."""
        return cast("ImageDraw.ImageDraw", self)

    def _card(self, name: str, box: Box, *args: Any, **how: Any) -> None:
        picture = Image.new("RGBA", (SIDE, SIDE))
        getattr(ImageDraw.Draw(picture), name)(*args, **how)
        self.cards.append(Card(box, picture))


def stacked(cards: list[Card]) -> Image.Image:
    """Cards of one plane as one picture, the first at the bottom."""
    out = Image.new("RGBA", (SIDE, SIDE))
    for card in cards:
        out.alpha_composite(card.picture)
    return out


def cut(picture: Image.Image, top: int, bottom: int) -> Image.Image:
    """The rows of a picture from top to bottom, and nothing elsewhere."""
    alpha = np.zeros((SIDE, SIDE), np.uint8)
    alpha[top:bottom] = 255
    return Image.fromarray(np.dstack([np.asarray(picture), alpha]))
