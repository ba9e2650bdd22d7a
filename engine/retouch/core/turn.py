"""A flow as a value: what the brackets of a stage hold, for the stage to send pictures through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from retouch.core.awaited.requests import Asks
from retouch.core.declared.storable import storable
from retouch.core.values import Image, Mask


@dataclass(frozen=True, slots=True, eq=False)
class Turned:
    """What a picture came to: as it is now, and the newest mask that was made of it, if the flow makes one."""

    image: Image
    mask: Mask | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """What one picture came to under other noise each time, for a stage that chooses among them.

    mask: where all of them were edited, if that was known before any was made.
    """

    made: tuple[Turned, ...]
    mask: Mask | None = None


@storable
@dataclass(frozen=True, slots=True, eq=False)
class Ranked(Image):
    """A picture that was chosen among draws, with those that were not: so that several pictures may choose together.

    draws: all of them, each as it was drawn under the same noise in every picture that the flow is given.
    scores: of each draw, lower is better, in one unit for all pictures.
    keep: the place of what was chosen, 1 for the lowest score.
    """

    draws: tuple[Image, ...] = ()
    scores: tuple[float, ...] = ()
    keep: int = 1


class Turn(Protocol):
    """`await turn(image)`; several at once, by `gather`, share their calls like all else."""

    def __call__(
        self, image: Image, *, source: Image | None = None, mask: Mask | None = None, key: str = ""
    ) -> Asks[Turned]:
        """What becomes of a picture, at whatever size it has.

        source: what stages take as the picture that the turn began with, where that is not `image`; of its size.
        mask: where to edit, in the frame of `image`; of a stage that has a mask itself its flow expects one.
        key: keeps the noise of several calls apart; the same key draws the same noise.
        """
        ...
