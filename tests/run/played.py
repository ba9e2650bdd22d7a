"""Workers that are played, not run: what each says to a shard is a function's."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from retouch.graph.nodes import Graph, Picture
from retouch.run.executor import BatchInfo
from retouch.run.files.provenance import Request
from retouch.run.files.run_journal import RunJournal
from retouch.run.files.shared import SharedFiles
from retouch.run.outcome import Outcome, RunResult
from retouch.run.settings import Settings
from retouch.run.shards.messages import Shard, ShardDone, ShardJob, WorkerReady
from retouch.run.shards.sharding import execute_by_workers
from retouch.run.shards.wire import packed, unpacked
from retouch.run.store.blobs import Store
from retouch.run.store.keeping import RunStore
from retouch.run.whole import WholeRun


def graphs(count: int) -> list[Graph]:
    """Graphs of nothing, each of a picture of its own."""
    model: Any = None
    return [Graph((), (), Picture(Path(f"{place}.png"), place), model) for place in range(count)]


class Played:
    """A worker whose conduct is a function: what it says to a shard; None where it ends over it."""

    def __init__(self, number: int, conduct: Callable[[Shard], list[Any] | None], log: list[Any]) -> None:
        self.number, self._conduct, self.log, self.ended = number, conduct, log, False
        self.store: Store | None = None
        self._said: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def send(self, line: str) -> None:
        message = unpacked(line)
        if isinstance(message, ShardJob):
            self.store = message.store
            self._said.put(packed(WorkerReady()))
            return
        self.log.append((self.number, message.places))
        answers = self._conduct(message)
        for answer in answers or []:
            self._said.put(answer if isinstance(answer, str) else packed(answer))
        if answers is None:
            self._said.put(None)

    def says(self, message: Any) -> None:
        self._said.put(packed(message))

    def lines(self) -> Iterator[str]:
        while (line := self._said.get()) is not None:
            yield line

    def end(self) -> str:
        self.ended = True
        self._said.put(None)
        return "ended by SIGSEGV"


def done(shard: Shard) -> ShardDone:
    outcomes = tuple(Outcome(graph.item, notices=[f"picture {graph.item.index}"]) for graph in shard.graphs)
    call = BatchInfo("denoise", len(outcomes), len(outcomes), 1)
    return ShardDone(outcomes, (call,), tuple({} for _ in outcomes), ())


class Stage:
    """A run by played workers."""

    def __init__(self, conduct: Callable[[Shard], list[Any] | None]) -> None:
        self.log: list[Any] = []
        self.events: list[tuple[str, Any]] = []
        self.workers: list[Played] = []
        self._conduct = conduct

    def run(self, count: int, workers: int, store: RunStore | None = None) -> RunResult:
        made = graphs(count)
        run = WholeRun(made, Request(), Settings(), (), self._hear, SharedFiles(made), RunJournal(made))
        return execute_by_workers(run, self._start, workers, store)

    def _hear(self, event: str, facts: Any) -> None:
        if event != "failed":
            self.events.append((event, facts))

    def _start(self, number: int) -> Played:
        self.workers.append(Played(number, self._conduct, self.log))
        return self.workers[-1]


def names(result: RunResult) -> list[str]:
    return [outcome.item.name for outcome in result.outcomes if outcome.item]


def failed(result: RunResult) -> dict[str, str]:
    return {o.item.name: o.failures[0].code for o in result.outcomes if o.item and o.failures}
