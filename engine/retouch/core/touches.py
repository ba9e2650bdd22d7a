"""What a control touches, as plain data: the check reads it without torch, the executor enforces it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from itertools import combinations
from typing import Any, Literal

Kind = Literal["self", "cross", "resnet"]
Access = Literal["read", "transform", "replace"]
What = Literal["q", "k", "v", "qk", "kv", "probs", "out", "features", "maps"]

# Replacing the maps makes the queries and keys behind them moot; replacing the output makes all three moot.
_MADE_OF: dict[str, frozenset[str]] = {
    "probs": frozenset("qk"),
    "out": frozenset("qkv"),
    "features": frozenset({"features"}),
    "maps": frozenset(),
}


@dataclass(frozen=True, slots=True)
class Range:
    """The closed interval that an option's number lies in: `Annotated[float, Range(0, 1)]`.

    unit: what it counts, such as "pixels"; numbers from 0 to 1 are fractions unless they say otherwise
    """

    low: float
    high: float
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Pattern:
    """The form of an option's text: `Annotated[str, Pattern("#[0-9a-f]{6}", "a colour", "#ff8000")]`.

    form: a regular expression that the whole of it matches.
    noun: what such a text is; example: one.
    """

    form: str
    noun: str
    example: str


@dataclass(frozen=True, slots=True)
class Site:
    """One place in a network where a control may act; a model family ships the table of them."""

    name: str  # module path, as in diffusers
    kind: Kind
    place: Literal["down", "mid", "up"]
    index: int  # among the sites of its kind, in forward order
    scale: int  # latent cells per side of one token: 1 at full resolution, then 2, 4, 8


@dataclass(frozen=True, slots=True)
class Touch:
    """Where, when and how a control acts.

    start, until: fractions of the steps that are taken, or the name of the option that holds one; of an option that
        holds several, the greatest counts.  After an inversion with a strength below 1 they are of the shorter walk.

    access: read leaves everything as it is, transform makes new from old, replace ignores what was there.
    rows: the last label of the rows that change ("cond", "uncond", a guidance's own), "*" for all.
    scale: least and most latent cells per token side; first: the lowest site index.
    sites: module paths as diffusers has them, with * ? [ ] as in file names, and | between several; "" for all.
    """

    kind: Kind
    access: Access
    what: What
    rows: str = "cond"
    start: float | str = 0.0
    until: float | str = 1.0
    place: Literal["*", "down", "mid", "up"] = "*"
    scale: tuple[int, int] = (1, 64)
    first: int = 0
    sites: str = ""

    def bound(self, options: Mapping[str, Any]) -> Touch:
        """The same touch with its bounds read from the stage's options."""
        return replace(self, start=_bound(self.start, options), until=_bound(self.until, options))

    def at(self, site: Site) -> bool:
        """Whether it acts at this site."""
        return (
            site.kind == self.kind
            and self.place in ("*", site.place)
            and self.scale[0] <= site.scale <= self.scale[1]
            and site.index >= self.first
            and (not self.sites or any(fnmatchcase(site.name, each) for each in self.sites.split("|")))
        )

    def during(self, progress: float) -> bool:
        """Whether it acts after this share of the walk's steps (0 at the first); only a bound touch knows."""
        return float(self.start) <= progress < float(self.until)

    def acts_in(self, steps: int) -> bool:
        """Whether its window holds any step of a walk of so many; only a bound touch knows."""
        return holds_a_step(float(self.start), float(self.until), steps)

    @property
    def parts(self) -> frozenset[str]:
        """The tensors that a change of `what` decides."""
        return _MADE_OF.get(self.what, frozenset(self.what))


def holds_a_step(start: float, until: float, steps: int) -> bool:
    """Whether any step of a walk of so many begins within start <= index / steps < until."""
    return any(start <= index / steps < until for index in range(steps))


def _bound(bound: float | str, options: Mapping[str, Any]) -> float:
    if not isinstance(bound, str):
        return bound
    found = options[bound]
    return max(map(float, found), default=0.0) if isinstance(found, tuple) else float(found)


@dataclass(frozen=True, slots=True)
class Clash:
    """Two controls that cannot both have their way: `then` replaces what `first` has set."""

    first: str
    then: str
    what: str
    kind: str
    sites: tuple[str, ...]
    start: float
    until: float

    def __str__(self) -> str:
        return (
            f"'{self.then}' replaces {self.what} of {self.kind}-attention at {len(self.sites)} sites where "
            f"'{self.first}' acts, steps {self.start:.0%}-{self.until:.0%}"
        )


def clashes(controls: Sequence[tuple[str, Sequence[Touch]]], sites: Sequence[Site]) -> list[Clash]:
    """The first clash of each pair of controls; a transform after anything is fine, and so is a read."""
    found = (_clash(a, b, sites) for a, b in combinations(controls, 2))
    return [clash for clash in found if clash]


def _clash(a: tuple[str, Sequence[Touch]], b: tuple[str, Sequence[Touch]], sites: Sequence[Site]) -> Clash | None:
    for first in a[1]:
        for then in b[1]:
            if shared := _undone(first, then, sites):
                start = max(float(first.start), float(then.start))
                until = min(float(first.until), float(then.until))
                return Clash(a[0], b[0], then.what, then.kind, shared, start, until)
    return None


def _undone(first: Touch, then: Touch, sites: Sequence[Site]) -> tuple[str, ...]:
    """Names of the sites where `then` would silently undo `first`."""
    if then.access != "replace" or first.access == "read" or not first.parts & then.parts:
        return ()
    if first.rows != then.rows and "*" not in (first.rows, then.rows):
        return ()
    if max(float(first.start), float(then.start)) >= min(float(first.until), float(then.until)):
        return ()
    return tuple(site.name for site in sites if first.at(site) and then.at(site))
