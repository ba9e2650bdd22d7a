"""Which draw is kept, and what is said of it."""

from __future__ import annotations

from collections.abc import Sequence

from retouch.api import Candidates, Notices, Ranked


def kept(candidates: Candidates, scores: Sequence[float], keep: int, what: str, notices: Notices) -> Ranked:
    """The draw in that place, with the others; how all scored is told.

    what: is said behind the score, such as "from the text".
    """
    chosen = order(scores)[keep - 1]
    notices.tell(told(scores, chosen, keep, what))
    images = tuple(each.image for each in candidates.made)
    return Ranked(images[chosen].data, images[chosen].alpha, images, tuple(scores), keep)


def order(scores: Sequence[float]) -> list[int]:
    """Draws from the lowest score up; equal ones as they were drawn."""
    return sorted(range(len(scores)), key=scores.__getitem__)


def told(scores: Sequence[float], chosen: int, keep: int, what: str) -> str:
    """What was kept, and how it and the others scored."""
    others = [score for i, score in enumerate(scores) if i != chosen]
    place = "" if keep == 1 else f", place {keep}"
    said = f"kept draw {chosen + 1} of {len(scores)}{place}: {scores[chosen]:.3f} {what}"
    return said + (f", the others {min(others):.3f} to {max(others):.3f}" if others else "")
