"""Edits of all views under the same noise, of which several are tried in a few views before one is made in all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from retouch.api import Image, Notices, Turn, Turned, altered, gather
from retouch_scenes.lifting import all_turned, together, turned


@dataclass(frozen=True, slots=True)
class Drawing:
    """How often a flow draws before one draw is chosen for all views.

    Noise that draws a head of the right size in one view does so in the next, since all views draw the same.

    draws: how often.
    chosen_in: in how many views, evenly among all.
    room: share of a view that what is asked for may take; other pixels are to stay as they were.
    at_once: how many views are in memory together.
    """

    draws: int
    chosen_in: int
    room: float
    at_once: int
    notices: Notices

    async def turned(
        self, turn: Turn, images: Sequence[Image], sources: Sequence[Image], key: str
    ) -> list[Turned | None]:
        """What a flow makes of each view under the noise that changes the photographs least; None where it refuses."""
        if self.draws < 2:
            return await all_turned(turn, images, sources, key, self.at_once)
        count = min(self.chosen_in, len(images))
        some = [i * len(images) // count for i in range(count)]
        keys = [f"{key}/draw{j}" for j in range(self.draws)]
        calls = [(images[i], sources[i], each) for each in keys for i in some]
        flat: list[Turned | None] = []
        for k in range(0, len(calls), self.at_once):
            flat += await gather(turned(turn, *call) for call in calls[k : k + self.at_once])
        tried = [flat[j * count : (j + 1) * count] for j in range(self.draws)]
        scores = [self._change(made, [sources[i] for i in some]) for made in tried]
        chosen = min(range(self.draws), key=scores.__getitem__)
        if not math.isfinite(scores[chosen]):  # no draw is of a view: the others may still be edited
            return await all_turned(turn, images, sources, keys[0], self.at_once)
        known = [score for score in scores if math.isfinite(score)]
        told = f"{scores[chosen]:.3f} of change besides in {count} views, all {min(known):.3f} to {max(known):.3f}"
        self.notices.tell(f"kept draw {chosen + 1} of {self.draws}: {told}")
        rest = [i for i in range(len(images)) if i not in some]
        others = ([images[i] for i in rest], [sources[i] for i in rest])
        made = await all_turned(turn, *others, keys[chosen], self.at_once)
        found = dict(zip([*some, *rest], [*tried[chosen], *made], strict=True))
        return together([found[i] for i in range(len(images))])

    def _change(self, made: Sequence[Turned | None], sources: Sequence[Image]) -> float:
        """The mean change of the views that a draw could edit; without end where it could edit none."""
        pairs = [(source.data, each.image.data) for each, source in zip(made, sources, strict=True) if each]
        return sum(float(altered(*pair, self.room)) for pair in pairs) / len(pairs) if pairs else math.inf
