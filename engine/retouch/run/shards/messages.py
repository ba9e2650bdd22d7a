"""What a run and its workers say to one another, a line each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from retouch.graph.nodes import Graph
from retouch.run.executor import BatchInfo
from retouch.run.files.provenance import Request
from retouch.run.outcome import Outcome
from retouch.run.settings import Settings
from retouch.run.store.blobs import Store


@dataclass(frozen=True, slots=True)
class ShardJob:
    """To a worker, first: what all shards have in common.  store: where it lies, there or not."""

    request: Request
    settings: Settings
    store: Store | None = None


@dataclass(frozen=True, slots=True)
class Shard:
    """To a worker: pictures to work on together, each with its place among all of the run."""

    places: tuple[int, ...]
    graphs: tuple[Graph, ...]


@dataclass(frozen=True, slots=True)
class WorkerReady:
    """From a worker: it has all that it needs but pictures."""


@dataclass(frozen=True, slots=True)
class Alive:
    """From a worker, every few seconds: its process is there, whatever its stages do."""


@dataclass(frozen=True, slots=True)
class Told:
    """From a worker: an event of its run, or a line for the journal ("written", "unwritten")."""

    event: str
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ShardDone:
    """From a worker: what became of a shard; see `whole.Part`.  entries: of the files that many results share.

    taken: how often a stage's value was in the store, by the stage's name.
    """

    outcomes: tuple[Outcome, ...]
    calls: tuple[BatchInfo, ...]
    missed: tuple[dict[str, str], ...]
    entries: tuple[tuple[str, list[Any]], ...]
    taken: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True, slots=True)
class Stopped:
    """From a worker: why it can do no shard at all."""

    why: str
