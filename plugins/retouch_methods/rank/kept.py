"""Which draw is kept, and what is said of it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from retouch.api import Candidates, Need, Notices, Ranked, Unmet

# What stages ask of their option `keep`.
AS_MANY = Need("keep <= draws", "keeps draw {keep} of {draws}", "write keep={draws}, or draw (…) seeds={keep}")


def kept(candidates: Candidates, scores: Sequence[float], keep: int, what: str, notices: Notices) -> Ranked:
    """The draw in that place, with the others; how all scored is told.

    what: is said behind the score, such as "from the text".
    """
    chosen = order(scores)[keep - 1]
    notices.tell(told(scores, chosen, keep, what))
    images = tuple(each.image for each in candidates.made)
    return Ranked(images[chosen].data, images[chosen].alpha, images, tuple(scores), keep)


def order(scores: Sequence[float]) -> list[int]:
    """Draws from the lowest score up; equal ones as they were drawn, those whose score is no number at the end."""
    return sorted(range(len(scores)), key=lambda i: (math.isnan(scores[i]), scores[i], i))


def told(scores: Sequence[float], chosen: int, keep: int, what: str) -> str:
    """What was kept, and how it and the others scored.  Raises Unmet where its score is no number."""
    lost = [i + 1 for i, score in enumerate(scores) if math.isnan(score)]
    if math.isnan(scores[chosen]):
        raise Unmet("rank", f"no number for draw {_listed(lost)}", f"one for {keep} of {len(scores)}")
    others = [score for i, score in enumerate(scores) if i != chosen and not math.isnan(score)]
    equal = [i + 1 for i, score in enumerate(scores) if i != chosen and score == scores[chosen]]
    place = "" if keep == 1 else f", place {keep}"
    said = f"kept draw {chosen + 1} of {len(scores)}{place}: {scores[chosen]:.3f} {what}"
    said += f", the others {min(others):.3f} to {max(others):.3f}" if others else ""
    said += f"; draw {_listed(equal)} scored the same, and of equal ones the first drawn comes first" if equal else ""
    return said + (f"; the score of draw {_listed(lost)} is no number" if lost else "")


def _listed(draws: Sequence[int]) -> str:
    return ", ".join(map(str, draws))
