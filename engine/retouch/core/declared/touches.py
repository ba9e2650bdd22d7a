"""What a control touches, as plain data: the check reads it without torch, the executor enforces it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from itertools import combinations, product
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
    joint: bool = False  # whether picture and text attend together there, and this is one block of that attention
    depth: float = 0.0  # the share of the sites of its kind that lie before it


def with_depth(sites: Sequence[Site]) -> tuple[Site, ...]:
    """Give each site, in forward order, its depth in the network."""
    count = Counter(site.kind for site in sites)
    return tuple(replace(site, depth=site.index / count[site.kind]) for site in sites)


@dataclass(frozen=True, slots=True)
class Touch:
    """Where, when and how a control acts.

    start, until: fractions of the steps that are taken, or the name of the option that holds one; of an option that
        holds several, the greatest counts.  After an inversion with a strength below 1 they are of the shorter walk.

    access: read leaves everything as it is, transform makes new from old, replace ignores what was there.
    rows: the last label of the rows that change ("cond", "uncond", a guidance's own), "*" for all.
    scale: least and most latent cells per token side, or the names of options that hold them; first: the lowest site
        index.
    when: an option's name, then those of its values with which it acts at all; empty for all.
    depth: from which to which share of the sites of its kind, in forward order: (0.5, 1) is the later half.  The same
        touch then acts in every family, whatever its modules are called.
    sites: module paths as diffusers has them, with * ? [ ] as in file names, and | between several; "" for all.
    """

    kind: Kind
    access: Access
    what: What
    rows: str = "cond"
    start: float | str = 0.0
    until: float | str = 1.0
    place: Literal["*", "down", "mid", "up"] = "*"
    scale: tuple[int | str, int | str] = (1, 64)
    first: int = 0
    depth: tuple[float, float] = (0.0, 1.0)
    sites: str = ""
    when: tuple[str, ...] = ()

    def bound(self, options: Mapping[str, Any]) -> Touch:
        """The same touch with its bounds read from the stage's options."""
        start, until = _bound(self.start, options), _bound(self.until, options)
        if self.when and options[self.when[0]] not in self.when[1:]:
            until = start
        least, most = (int(_bound(scale, options)) for scale in self.scale)
        return replace(self, start=start, until=until, scale=(least, most))

    def at(self, site: Site) -> bool:
        """Whether it acts at this site."""
        return (
            site.kind == self.kind
            and self.place in ("*", site.place)
            and int(self.scale[0]) <= site.scale <= int(self.scale[1])
            and site.index >= self.first
            and self.depth[0] <= site.depth < self.depth[1]
            and (not self.sites or any(fnmatchcase(site.name, each) for each in self.sites.split("|")))
        )

    def during(self, progress: float) -> bool:
        """Whether it acts after this share of the walk's steps (0 at the first); only a bound touch knows."""
        return float(self.start) <= progress < float(self.until)

    def meets(self, sites: Iterable[Site]) -> bool:
        """Whether it acts at any of these sites, or at no time anyway; only a bound touch knows."""
        return float(self.start) >= float(self.until) or any(map(self.at, sites))

    def acts_in(self, steps: int) -> bool:
        """Whether its window holds any step of a walk of so many; only a bound touch knows."""
        return holds_a_step(float(self.start), float(self.until), steps)

    @property
    def parts(self) -> frozenset[str]:
        """The tensors that a change of `what` decides."""
        return _MADE_OF.get(self.what, frozenset(self.what))

    def __str__(self) -> str:
        """The touch in words, without what was left as it comes: "replace probs of cross, steps 0%-80%"."""
        where = [self.kind if self.place == "*" else f"{self.place} {self.kind}"]
        if self.rows != "cond":
            where.append("all rows" if self.rows == "*" else f"rows {self.rows}")
        if self.scale != (1, 64):
            where.append(f"scale {self.scale[0]}-{self.scale[1]}")
        if self.first:
            where.append(f"from site {self.first}")
        if self.depth != (0.0, 1.0):
            where.append(f"depth {self.depth[0]:.0%}-{self.depth[1]:.0%}")
        if self.sites:
            where.append(f"sites {self.sites}")
        start, until = (each if isinstance(each, str) else f"{each:.0%}" for each in (self.start, self.until))
        return f"{self.access} {self.what} of {', '.join(where)}, steps {start}-{until}"


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
    found: list[Clash] = []
    for (one, before), (two, after) in combinations(controls, 2):
        for first, then in product(before, after):
            undone = _undone(first, then, sites)
            if undone:
                start = max(float(first.start), float(then.start))
                until = min(float(first.until), float(then.until))
                found.append(Clash(one, two, then.what, then.kind, undone, start, until))
                break
    return found


def _undone(first: Touch, then: Touch, sites: Sequence[Site]) -> tuple[str, ...]:
    """Names of the sites where `then` would silently undo `first`."""
    if then.access != "replace" or first.access == "read" or not first.parts & then.parts:
        return ()
    if first.rows != then.rows and "*" not in (first.rows, then.rows):
        return ()
    if max(float(first.start), float(then.start)) >= min(float(first.until), float(then.until)):
        return ()
    return tuple(site.name for site in sites if first.at(site) and then.at(site))
