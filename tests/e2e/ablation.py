"""The recipe of a pair without one of its methods: what the pair is compared with to see that the method acts."""

from __future__ import annotations

from collections.abc import Sequence

from retouch.plugins.signatures import StageCard

PLAIN = ("invert ddim", "invert sdedit")  # one of these stands in for an inversion
EVERYTHING = "mask box left=0"  # stands in for a mask that is taken away: all is edited


def without(recipe: str, card: StageCard, stages: Sequence[StageCard]) -> str | None:
    """The least recipe of some stages with one of them taken away; None where the turn has that one anyway.

    An inversion is exchanged for another, since a turn has one; a mask for one that covers all.  A blend goes with the
    mask that only it reads.
    """
    *lines, flow = recipe.rstrip("\n").split("\n")
    parts = flow.split(" | ")
    match card.family:
        case "invert":
            # The first; where that is what is taken away, the second.
            other = PLAIN[card.name == PLAIN[0]]
            parts = [part.replace(card.name, other, 1) if _is(part, card) else part for part in parts]
        case "guide" if card.default:
            return None
        case "crop":
            parts = [part for part in parts if part != "paste" and not _is(part, card)]
        case "blend":
            parts = [part for part in parts if not _is(part, card)]
            if not any(other.takes("Mask") and other != card and other.family != "mask" for other in stages):
                parts, lines = [part for part in parts if not part.startswith("mask ")], []
        case "mask":
            lines = [" | ".join(_unmasked(line.split(" | "), card)) for line in lines]
            parts = _unmasked(parts, card)
        case _:
            parts = [part for part in parts if not _is(part, card)]
    return "\n".join([*lines, " | ".join(parts)]) + "\n"


def _unmasked(parts: list[str], card: StageCard) -> list[str]:
    """The stages of a line without a mask: what makes one makes the whole, what changes one is left out."""
    if card.takes("Mask"):
        return [part for part in parts if not _is(part, card)]
    return [part[: part.index(card.name)] + EVERYTHING if _is(part, card) else part for part in parts]


def _is(part: str, card: StageCard) -> bool:
    """Whether a part of a line is this stage, with what is written on it or with the name that it is given."""
    return f"{part.rpartition(' = ')[2]} ".startswith(f"{card.name} ")
