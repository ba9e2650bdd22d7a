"""All pairs of an edit as one piece of work: what they share is done once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from retouch.graph.elaborate import check
from retouch.graph.nodes import FromEngine, Graph, NodeId, Picture
from retouch.graph.world import World
from retouch.lang.diagnostics import Diagnostic
from retouch.registry import Registry
from retouch_bench.drawn import Drawn
from retouch_bench.pairs import Entry


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all recipes of a run are read with."""

    registry: Registry
    model: str
    steps: int
    seed: int
    pictures: Path  # where results go, a folder for each edit

    def world(self, drawn: Drawn, entries: Sequence[Entry]) -> World:
        """The drawing that entries begin with and its caption, and where their results go."""
        picture = entries[0].picture
        source = {"source": drawn.source, "truth": drawn.truth, "blank": drawn.blank}[picture]
        caption = {"source": drawn.edit.before.caption(), "truth": drawn.edit.after.caption(), "blank": ""}[picture]
        walked = any(entry.walks for entry in entries)  # else nothing takes steps, and to tell them is an error
        told = {"steps": str(self.steps), "seed": str(self.seed)} if walked else {}
        out = self.pictures / drawn.edit.name
        out.mkdir(parents=True, exist_ok=True)
        return World(
            self.registry,
            out,
            (Picture(source, 0, caption),),
            told,
            self.model,
            out,
            allowed=(out,),
            force=True,
        )


@dataclass(frozen=True, slots=True)
class Work:
    """The graph of some entries on one picture of an edit, and the entries that the check refuses."""

    drawn: Drawn
    graph: Graph | None
    entries: dict[Entry, NodeId]  # to the stage that saves its result
    refused: dict[Entry, Diagnostic]

    def key(self, entry: Entry) -> str:
        """What the result of an entry depends on: stages, their sources, options, prompts, pictures, the model."""
        assert self.graph is not None
        part = self.graph.only(self.entries[entry])
        stages = [
            (
                node.card.name,
                _digest(Path(node.card.file)),
                {name: value for name, value in node.options.items() if name != "path"},
                [(port, edge.type, dict(edge.settings)) for port, edge in node.edges() if isinstance(edge, FromEngine)],
            )
            for node in part.nodes
        ]
        read = [_digest(path) for path in (self.drawn.source, self.drawn.truth)]
        stages = sorted(json.dumps(stage, default=str, sort_keys=True) for stage in stages)  # in any company
        told = json.dumps([stages, read, part.model.digest])
        return hashlib.sha256(told.encode()).hexdigest()[:16]


@cache
def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def works(drawn: Drawn, entries: Sequence[Entry], surroundings: Surroundings) -> Iterator[Work]:
    """One piece of work for each picture that the entries begin with."""
    for picture in dict.fromkeys(entry.picture for entry in entries):
        yield read(drawn, [entry for entry in entries if entry.picture == picture], surroundings)


def told(entry: Entry, drawn: Drawn, surroundings: Surroundings) -> list[str]:
    """What the check finds wrong in an entry, with places and help, as it reads for one edit."""
    text = entry.flow(drawn.edit)
    return [error.render(text) for error in check(text, surroundings.world(drawn, [entry])).errors]


def read(drawn: Drawn, entries: Sequence[Entry], surroundings: Surroundings) -> Work:
    """The graph of entries that begin with the same picture, without those in which the check finds errors."""
    refused: dict[Entry, Diagnostic] = {}
    while entries := [entry for entry in entries if entry not in refused]:
        lines = [entry.flow(drawn.edit) for entry in entries]
        checked = check("\n".join(lines), surroundings.world(drawn, entries))
        if not checked.errors:
            return Work(drawn, checked.graphs[0], _results(checked.graphs[0], entries), refused)
        for error in checked.errors:
            if error.source is not None:  # not of any line
                raise ValueError(f"{error.code}: {error.message}")
            refused.setdefault(entries[_line(lines, error.span.start)], error)
    return Work(drawn, None, {}, refused)


def _line(lines: Sequence[str], place: int) -> int:
    """The line in which a place of the text lies."""
    return "\n".join(lines).count("\n", 0, place)


def _results(graph: Graph, entries: Sequence[Entry]) -> dict[Entry, NodeId]:
    saved = {Path(node.options["path"]).name: node.id for node in graph.nodes if node.card.family == "save"}
    return {entry: saved[entry.file] for entry in entries}
