"""Run what is still to be measured of some edits, all at a time, so that their rows share calls."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from retouch.api.checking import Diagnostic
from retouch.api.running import KeptMachines, Outcome, Settings, execute
from retouch_bench.drawn import Drawn
from retouch_bench.drawn import read as picture_of
from retouch_bench.journal import Place, Record, find, place_of
from retouch_bench.measure import Eyes, Truth, mask_figures, seen
from retouch_bench.pairs import Entry
from retouch_bench.work import Surroundings, Work, read, works


@dataclass(frozen=True, slots=True)
class Chunk:
    """Edits to run together, the entries to measure on each, and what is known of them from before."""

    edits: Sequence[Drawn]
    entries: Sequence[Entry]
    known: Mapping[Place, Record]


@dataclass(frozen=True, slots=True)
class Measured:
    """What a chunk came to.

    new: the records to remember, without what can be seen of a picture at any time.
    records: of all entries on all edits, in that order, whole.
    """

    new: list[Record]
    records: list[Record]


@dataclass
class Measurer:
    """Measures chunks, one after the other, with models that stay loaded.

    Runs are exact, so that an edit's result is the same bits whatever is run beside it, or was before a kill.
    """

    surroundings: Surroundings
    device: str = "cpu"
    machines: KeptMachines = field(default_factory=KeptMachines)

    @cached_property
    def eyes(self) -> Eyes:
        return Eyes()

    def __call__(self, chunk: Chunk) -> Measured:
        """Make what is missing, and look at everything."""
        asked = [work for drawn in chunk.edits for work in works(drawn, chunk.entries, self.surroundings)]
        missing: list[Work] = []
        for work in asked:
            # A record whose picture is gone is no record: there is nothing left to look at.
            if left := [entry for entry in work.entries if not self._done(work, entry, chunk.known)]:
                missing.append(read(work.drawn, left, self.surroundings))
        new = self._run(missing) if missing else []
        known = {**chunk.known, **{place_of(record): record for record in new}}
        return Measured(new, [record for work in asked for record in self._records(work, known)])

    def _done(self, work: Work, entry: Entry, known: Mapping[Place, Record]) -> bool:
        record = find(known, _of(work.drawn, entry), work.key(entry))
        return record is not None and ("error" in record or self._file(work.drawn, entry).exists())

    def _records(self, work: Work, known: Mapping[Place, Record]) -> Iterator[Record]:
        """What is known, with what is seen of the pictures: looking is cheap, and eyes may have got better."""
        ours = {entry: known[_of(work.drawn, entry)] for entry in work.entries}
        fine = [entry for entry, record in ours.items() if "error" not in record]
        results = [picture_of(self._file(work.drawn, entry)) for entry in fine]
        looks = dict(zip(fine, seen(Truth(work.drawn), results, self.eyes), strict=True))
        for entry, record in ours.items():
            yield {**record, **looks.get(entry, {})}
        for entry, error in work.refused.items():
            yield {**_named(work.drawn, entry), "error": _told(error)}

    def _run(self, missing: Sequence[Work]) -> list[Record]:
        settings = Settings(self.device, exact=True)
        began = time.monotonic()
        graphs = [work.graph for work in missing if work.graph]
        result = execute(graphs, registry=self.surroundings.registry, settings=settings, machine=self.machines)
        rows = sum(sum(outcome.rows.values()) for outcome in result.outcomes)
        a_row = (time.monotonic() - began) / max(rows, 1)
        pairs = zip(missing, result.outcomes, strict=True)
        return [record for work, outcome in pairs for record in _noted(work, outcome, a_row)]

    def _file(self, drawn: Drawn, entry: Entry) -> Path:
        return self.surroundings.pictures / drawn.edit.name / entry.file


def _noted(work: Work, outcome: Outcome, a_row: float) -> list[Record]:
    """A record of each entry: what its picture does not show, or why there is no picture.

    seconds: its share of the run, by its rows; what entries share counts for each of them, as if it ran alone.
    """
    why = "; ".join(_told(failure) for failure in outcome.failures)
    found: list[Record] = []
    for entry, node in work.entries.items():
        record = {**_named(work.drawn, entry), "key": work.key(entry)}
        if node in outcome.values:
            assert work.graph is not None
            nodes = work.graph.only(node).nodes
            rows = sum(outcome.rows.get(each.id, 0) for each in nodes)
            newest = {each.card.output: outcome.values[each.id] for each in nodes}  # of each type: the result is of it
            mask = newest["Mask"].on(newest["Latents"]).cpu() if "Mask" in newest else None
            record |= {"rows": rows, "seconds": rows * a_row, **mask_figures(work.drawn, mask)}
        else:
            record |= {"error": why}
        found.append(record)
    return found


def _named(drawn: Drawn, entry: Entry) -> dict[str, Any]:
    return {"edit": drawn.edit.name, "kind": drawn.edit.kind, "inversion": entry.inversion, "editor": entry.editor}


def _of(drawn: Drawn, entry: Entry) -> Place:
    return drawn.edit.name, entry.inversion, entry.editor


def _told(found: Diagnostic) -> str:
    return f"{found.code}: {found.message}"
