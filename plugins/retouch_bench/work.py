"""All pairs of an edit as one piece of work: what they share is done once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from retouch.api.checking import (
    Checked,
    Diagnostic,
    Environment,
    FromEngine,
    Graph,
    NodeId,
    Picture,
    Registry,
    check,
)
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

    @property
    def told(self) -> dict[str, str]:
        """Settings of every walk and all noise."""
        return {"steps": str(self.steps), "seed": str(self.seed)}

    def world(self, drawn: Drawn, picture: str, told: Mapping[str, str]) -> Environment:
        """A drawing with its caption, and where its results go."""
        source = {"source": drawn.source, "truth": drawn.truth, "blank": drawn.blank}[picture]
        caption = {"source": drawn.edit.before.caption(), "truth": drawn.edit.after.caption(), "blank": ""}[picture]
        out = self.pictures / drawn.edit.name
        out.mkdir(parents=True, exist_ok=True)
        return Environment(
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
    return [error.render(text) for error in _checked(text, drawn, entry.picture, surroundings).errors]


def read(drawn: Drawn, entries: Sequence[Entry], surroundings: Surroundings) -> Work:
    """The graph of entries that begin with the same picture, without those in which the check finds errors."""
    refused: dict[Entry, Diagnostic] = {}
    while entries := [entry for entry in entries if entry not in refused]:
        lines = [entry.flow(drawn.edit) for entry in entries]
        checked = _checked("\n".join(lines), drawn, entries[0].picture, surroundings)
        if not checked.errors:
            graph = checked.graphs[0]
            saved = {Path(node.options["path"]).name: node.id for node in graph.nodes if node.card.family == "save"}
            return Work(drawn, graph, {entry: saved[entry.file] for entry in entries}, refused)
        for error in checked.errors:
            if error.source is not None:  # not of any line
                raise ValueError(f"{error.code}: {error.message}")
            line = "\n".join(lines).count("\n", 0, error.span.start)  # each entry is a line of the text
            refused.setdefault(entries[line], error)
    return Work(drawn, None, {}, refused)


def _checked(text: str, drawn: Drawn, picture: str, surroundings: Surroundings) -> Checked:
    """What the check says, told only the settings that some stage takes: what walks nowhere has no steps."""
    told = surroundings.told
    checked = check(text, surroundings.world(drawn, picture, told))
    idle = [error.message for error in checked.errors if error.code == "RT222"]
    if not idle:
        return checked
    taken = {name: value for name, value in told.items() if not any(f"'{name}'" in message for message in idle)}
    return check(text, surroundings.world(drawn, picture, taken))
