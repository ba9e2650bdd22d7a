"""Run what is still to be measured, many edits at a time, so that their rows share calls."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from retouch.lang.diagnostics import Diagnostic
from retouch.run.machine import Machine
from retouch.run.session import Outcome, Settings, execute
from retouch_bench.drawn import Drawn
from retouch_bench.drawn import read as picture_of
from retouch_bench.journal import Journal, Record
from retouch_bench.measure import Eyes, Figures, Truth, mask_figures, seen
from retouch_bench.pairs import Entry
from retouch_bench.work import Surroundings, Work, read, works

AT_ONCE = 8  # edits in one run: what a kill can lose, and enough that calls of eight rows are full to the end


@dataclass
class Bench:
    """Measures entries on edits, and remembers what was measured.

    Runs are exact, so that an edit's result is the same bits whatever is run beside it, or was before a kill.
    """

    surroundings: Surroundings
    journal: Journal
    device: str = "cpu"
    say: Callable[[str], None] = print
    machines: dict[str, Machine] = field(default_factory=dict[str, Machine])

    @cached_property
    def eyes(self) -> Eyes:
        return Eyes()

    def measure(self, edits: Sequence[Drawn], entries: Sequence[Entry]) -> list[Record]:
        """The records of all entries on all edits, in that order; those that are there are not made again."""
        found: list[Record] = []
        began = time.monotonic()
        for first in range(0, len(edits), AT_ONCE):
            chunk = edits[first : first + AT_ONCE]
            asked = [work for drawn in chunk for work in works(drawn, entries, self.surroundings)]
            if missing := [left for work in asked if (left := self._missing(work))]:
                self._run(missing)
            found += [record for work in asked for record in self._records(work)]
            self.say(f"{first + len(chunk)} of {len(edits)} edits, {time.monotonic() - began:.0f} s")
        return found

    def _missing(self, work: Work) -> Work | None:
        """What of this work is not in the journal, or has lost its picture."""
        left = [entry for entry in work.entries if not self._done(work, entry)]
        return read(work.drawn, left, self.surroundings) if left else None

    def _done(self, work: Work, entry: Entry) -> bool:
        record = self.journal.find(_place(work.drawn, entry), work.key(entry))
        return record is not None and ("error" in record or self._file(work.drawn, entry).exists())

    def _records(self, work: Work) -> Iterator[Record]:
        """What the journal says, with what is seen of the pictures: looking is cheap, and eyes may have got better."""
        known = {entry: self.journal.get(_place(work.drawn, entry), work.key(entry)) for entry in work.entries}
        fine = [entry for entry, record in known.items() if "error" not in record]
        results = [picture_of(self._file(work.drawn, entry)) for entry in fine]
        looks = dict(zip(fine, seen(Truth(work.drawn), results, self.eyes), strict=True))
        for entry, record in known.items():
            yield {**record, **looks.get(entry, {})}
        for entry, error in work.refused.items():
            yield {**_named(work.drawn, entry), "error": _told(error)}

    def _run(self, missing: Sequence[Work]) -> None:
        settings = Settings(self.device, exact=True)
        began = time.monotonic()
        graphs = [work.graph for work in missing if work.graph]
        result = execute(graphs, registry=self.surroundings.registry, settings=settings, machine=self._machine)
        rows = sum(sum(outcome.rows.values()) for outcome in result.outcomes)
        a_row = (time.monotonic() - began) / max(rows, 1)
        for work, outcome in zip(missing, result.outcomes, strict=True):
            self.journal.add(_noted(work, outcome, a_row))

    def _machine(self, model: Any, device: str, dtype: torch.dtype) -> Machine:
        """The model of the run before, whose weights are there."""
        if model.digest not in self.machines:
            self.machines[model.digest] = Machine(model, device, dtype)
        return self.machines[model.digest]

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
            rows = _rows(work, entry, outcome)
            record |= {"rows": rows, "seconds": rows * a_row, **_mask(work, entry, outcome)}
        else:
            record |= {"error": why}
        found.append(record)
    return found


def _rows(work: Work, entry: Entry, outcome: Outcome) -> int:
    assert work.graph is not None
    return sum(outcome.rows.get(node.id, 0) for node in work.graph.only(work.entries[entry]).nodes)


def _mask(work: Work, entry: Entry, outcome: Outcome) -> Figures:
    """Of the mask that the entry's result was made with, on latent cells."""
    assert work.graph is not None
    made = {
        node.card.output: outcome.values[node.id] for node in work.graph.only(work.entries[entry]).nodes
    }  # the newest of each type
    mask = made.get("Mask")
    return mask_figures(work.drawn, None if mask is None else mask.on(made["Latents"]).cpu())


def _named(drawn: Drawn, entry: Entry) -> dict[str, Any]:
    return {"edit": drawn.edit.name, "kind": drawn.edit.kind, "inversion": entry.inversion, "editor": entry.editor}


def _place(drawn: Drawn, entry: Entry) -> tuple[str, str, str]:
    return drawn.edit.name, entry.inversion, entry.editor


def _told(found: Diagnostic) -> str:
    return f"{found.code}: {found.message}"
