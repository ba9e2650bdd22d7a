"""Which rows share a call: a function of what waits, in its order, and of nothing else."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TypeVar

from retouch.core.awaited.requests import Backward, Call, Group, Part, brought

T = TypeVar("T")
LADDER = (1, 2, 4, 8, 16, 32)  # few, since each is a shape to choose kernels for, to compile and to capture
FULL_ENOUGH = 0.75  # a row of padding costs what a row costs


@dataclass(frozen=True, slots=True)
class Buckets:
    """How many rows a call has.

    ladder: sizes to choose from, ascending; the last is the most rows of one call.
    fixed: exact mode: every call has this many rows, so that a result is the same bits in any company.
        A group of more rows has a multiple of it, chosen by the group alone, and never meets another.
    """

    ladder: tuple[int, ...] = LADDER
    fixed: int | None = None

    def below(self, rows: int) -> Buckets:
        """The buckets of fewer rows than these, which were too many for the memory; at least that of one row."""
        return replace(self, ladder=tuple(size for size in self.ladder if size < rows) or (1,))

    def size(self, waiting: int) -> int:
        """The next call's rows: the bucket that holds all if that is full enough, else the largest that they fill."""
        if self.fixed:
            return self.fixed * -(-waiting // self.fixed) if waiting > self.fixed else self.fixed
        above = next((size for size in self.ladder if size >= waiting), None)
        if above and waiting >= FULL_ENOUGH * above:
            return above
        return max((size for size in self.ladder if size <= waiting), default=self.ladder[0])


@dataclass(slots=True)
class Batch:
    """What one call does: places in the list of what waits, and the rows that it is padded to."""

    kind: str  # denoise, gradient, apply, backward, read
    bucket: int
    places: list[int] = field(default_factory=list)
    rows: int = 0


def key_of(part: Part) -> tuple[str, Hashable]:
    """The kind of call that this needs, and what two parts must have in common to share it."""
    match part:
        case Group():
            row = part.rows[0]
            kind = "gradient" if part.wants_grad else "denoise"
            # A group fills its prompts up to the longest of its own, never of its company's.
            tokens = max([each.prompt.embeds.shape[0] for each in part.rows])
            return kind, (row.model.identity, row.model.core.kernels(part), row.x.shape, tokens, *row.prompt.shapes)
        case Call(function=function) if function is brought:
            return "read", (part.item.shape, part.item.dtype, part.item.device)
        case Call():
            # Whether a gradient is asked counts: what shares a call is evaluated with or without.
            return "apply", (part.function, part.item.shape, part.item.dtype, part.item.requires_grad)
        case Backward():
            return "backward", None


def rows_of(part: Part) -> int:
    """How many rows of a call it fills."""
    return len(part.rows) if isinstance(part, Group) else 1


Key = tuple[str, Hashable]
_NONE: Mapping[Key, Buckets] = MappingProxyType({})


def pack(parts: Sequence[Part], buckets: Buckets, narrower: Mapping[Key, Buckets] = _NONE) -> list[Batch]:
    """Batches in the order in which their first part waits.  Groups are never split.

    narrower: the buckets of those kinds of call of which not as many rows fit into memory.
    """
    kinds: dict[Key, list[int]] = {}
    for place, part in enumerate(parts):
        kinds.setdefault(key_of(part), []).append(place)
    return [
        batch for key, places in kinds.items() for batch in _fill(key[0], places, parts, narrower.get(key, buckets))
    ]


def _fill(kind: str, places: list[int], parts: Sequence[Part], buckets: Buckets) -> list[Batch]:
    if kind in ("backward", "read"):  # losses add, and copies have no shape to choose: one is enough for however many
        return [Batch(kind, len(places), places, len(places))]
    batches: list[Batch] = []
    while places:
        waiting = sum(rows_of(parts[place]) for place in places)
        first = rows_of(parts[places[0]])
        alone = buckets.fixed is not None and first > buckets.fixed  # in exact mode a large group meets nobody
        most = max(buckets.fixed or buckets.ladder[-1], first)
        batch = Batch(kind, max(buckets.size(first if alone else min(waiting, most)), first))
        for place in places:  # first fit, in order: whoever waits longest is served, and small ones fill its room
            if batch.rows + rows_of(parts[place]) <= batch.bucket:
                batch.places.append(place)
                batch.rows += rows_of(parts[place])
                if alone:
                    break
        # A group may not have found room, and a call of more rows than the ladder has is of one group alone.
        batch.bucket = max(buckets.size(batch.rows), batch.rows)
        batches.append(batch)
        # By place, for parts may be equal and still be two.
        taken = set(batch.places)
        places = [place for place in places if place not in taken]
    return batches
