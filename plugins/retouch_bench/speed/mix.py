"""The recipes of whole edits, and which of them a mixed thousand has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

CAPTION, CHANGE = "a cat in a meadow", '"cat"->"dog"'
DDIM = f"invert ddim {CHANGE}"
P2P = f"invert ddim {CHANGE} | attend p2p"
EDICT = f"invert edict {CHANGE}"
DIFFEDIT = f"invert ddim {CHANGE} strength=80% | mask diffedit | blend latent"
NULL_TEXT = f"invert null_text {CHANGE} inner_steps=10 stop=0 stop_growth=0"
SDEDIT = f"invert sdedit {CHANGE} strength=60%"
FILES = "encode | decode"
THOUSAND = 1000
OF_TWENTY = {DDIM: 7, P2P: 4, DIFFEDIT: 3, EDICT: 2, SDEDIT: 4}


@dataclass(frozen=True, slots=True)
class Job:
    """Edits to run together.

    recipes: one for each picture.  whole: how many edits it stands for, where it is a part of more.
    weight: its share of the time, beside the other jobs.
    """

    name: str
    recipes: tuple[str, ...]
    weight: float
    exact: bool = False
    whole: int | None = None


def jobs(packed: int) -> Iterator[Job]:
    """All measurements, the most telling first; `packed` pictures are edited together."""
    yield Job("DDIM, packed", (DDIM,) * packed, 14)
    yield Job("DDIM, one alone", (DDIM,), 5)
    yield Job("DDIM, packed, exact mode", (DDIM,) * packed, 12, exact=True)
    yield Job("null-text 10 inner steps, packed", (NULL_TEXT,) * packed, 22)
    yield Job("mixed", mixed(1), 22, whole=THOUSAND)
    yield Job("Prompt-to-Prompt, packed", (P2P,) * packed, 10)
    yield Job("DiffEdit, packed", (DIFFEDIT,) * packed, 7)
    yield Job("EDICT, packed", (EDICT,) * packed, 8)


def mixed(twenties: int) -> tuple[str, ...]:
    """So many times twenty edits: 35 % DDIM, 20 % P2P, 15 % DiffEdit, 10 % EDICT, 20 % SDEdit, in a fixed order."""
    recipes = [recipe for recipe, count in OF_TWENTY.items() for _ in range(count * twenties)]
    Random(0).shuffle(recipes)
    return tuple(recipes)
