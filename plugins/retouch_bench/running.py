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
from retouch.run.outbox import as_bytes
from retouch.run.session import Outcome, Settings, execute
from retouch_bench.drawn import Drawn
from retouch_bench.journal import Journal, Record
from retouch_bench.measure import Eyes, Figures, Truth, measured
from retouch_bench.pairs import Entry
from retouch_bench.work import Surroundings, Work, read, works

AT_ONCE = 8  # edits in one run: what a kill can lose, and enough to fill every call


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
        for entry in work.entries:
            record = self.journal.find(_place(work.drawn, entry), work.key(entry))
            assert record is not None
            yield record
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
            self.journal.add(_measured(work, outcome, self.eyes, a_row))

    def _machine(self, model: Any, device: str, dtype: torch.dtype) -> Machine:
        """The model of the run before, whose weights are there."""
        if model.digest not in self.machines:
            self.machines[model.digest] = Machine(model, device, dtype)
        return self.machines[model.digest]

    def _file(self, drawn: Drawn, entry: Entry) -> Path:
        return self.surroundings.pictures / drawn.edit.name / entry.file


def _measured(work: Work, outcome: Outcome, eyes: Eyes, a_row: float) -> list[Record]:
    """A record of each entry: its figures, or why it has none.

    seconds: its share of the run, by its rows; what entries share counts for each of them, as if it ran alone.
    """
    assert work.graph is not None
    made: dict[Entry, tuple[torch.Tensor, torch.Tensor | None]] = {}
    rows = {entry: _rows(work, entry, outcome) for entry in work.entries}
    for entry, node in work.entries.items():
        if node in outcome.values:
            made[entry] = _result(work, entry, outcome)
    figures = measured(Truth(work.drawn), [m[0] for m in made.values()], [m[1] for m in made.values()], eyes)
    found: dict[Entry, Figures] = dict(zip(made, figures, strict=True))
    why = "; ".join(_told(failure) for failure in outcome.failures)
    return [
        {**_named(work.drawn, entry), "key": work.key(entry)}
        | ({**found[entry], "rows": rows[entry], "seconds": rows[entry] * a_row} if entry in found else {"error": why})
        for entry in work.entries
    ]


def _rows(work: Work, entry: Entry, outcome: Outcome) -> int:
    assert work.graph is not None
    return sum(outcome.rows.get(node.id, 0) for node in work.graph.only(work.entries[entry]).nodes)


def _result(work: Work, entry: Entry, outcome: Outcome) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The picture as its file holds it, and the mask that it was made with, on cells."""
    assert work.graph is not None
    part = work.graph.only(work.entries[entry])
    saved = part.node(work.entries[entry])
    image = next(outcome.values[id_] for id_ in saved.feeds())
    picture = torch.from_numpy(as_bytes(image.data) / 255)
    masks = [outcome.values[node.id] for node in part.nodes if node.card.output == "Mask"]
    latents = next((outcome.values[node.id] for node in part.nodes if node.card.output == "Latents"), None)
    return picture, masks[-1].on(latents).cpu() if masks else None


def _named(drawn: Drawn, entry: Entry) -> dict[str, Any]:
    return {"edit": drawn.edit.name, "kind": drawn.edit.kind, "inversion": entry.inversion, "editor": entry.editor}


def _place(drawn: Drawn, entry: Entry) -> tuple[str, str, str]:
    return drawn.edit.name, entry.inversion, entry.editor


def _told(found: Diagnostic) -> str:
    return f"{found.code}: {found.message}"
