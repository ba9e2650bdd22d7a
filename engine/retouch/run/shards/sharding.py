"""Shards of a run, and workers that do them: what one worker leaves undone, another does.

A worker is a pair of streams of lines; whether a process of this machine is behind it or one of another
(`processes`, `on_ray`) makes no difference here.  Bits do not hang on the shards in exact mode, nor does the order of
what is told at the end.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from retouch.graph.keys import done_once
from retouch.graph.nodes import Graph
from retouch.lang.diagnostics import Report
from retouch.lang.syntax import NOWHERE
from retouch.run.executor import BatchInfo
from retouch.run.files.run_journal import results_of
from retouch.run.outcome import Outcome, RunResult
from retouch.run.shards.messages import Alive, Shard, ShardDone, ShardJob, Stopped, Told, WorkerReady
from retouch.run.shards.wire import packed, unpacked
from retouch.run.store.keeping import RunStore
from retouch.run.strangers.watchdog import patience
from retouch.run.waves import IN_FLIGHT
from retouch.run.whole import RunPart, WholeRun

SHARDS_A_WORKER = 4  # so that all end at about one time, though some pictures take longer
STRIKES = 2  # workers that one picture may end
LOST_IN_A_ROW = 8  # workers that end without any picture done: something else is wrong
PATIENCES = 2  # after so many of the watchdog's a stage that does not give way is ended with its worker
SILENCE = 60.0  # seconds without a word, though a worker speaks every few: its process does nothing any more
_OF_THE_JOURNAL = ("written", "unwritten")
TICK = 1.0  # seconds after which workers are looked at, though none has said anything


class Worker(Protocol):
    """Somebody who does shards, and may end at any time."""

    def send(self, line: str) -> None:
        """Give it a line; one that has ended takes it all the same."""
        ...

    def lines(self) -> Iterator[str]:
        """Give what it says, as it says it, until it has ended."""
        ...

    def end(self) -> str:
        """End it, whatever it does, and what it has begun to write; say how it ended, where that was by itself."""
        ...


Start = Callable[[int], Worker]  # by the number of its place among the workers


def execute_by_workers(run: WholeRun, start: Start, count: int, store: RunStore | None = None) -> RunResult:
    """Run the graphs of all pictures by so many workers, who do shards of them.

    store: where all of them look for what is made already, and keep what they make.
    A picture whose work ended two workers has failed (RT923).  KeyboardInterrupt ends all workers and passes through.
    Raises NotData.
    """
    if not run.graphs:
        return run.completed([])
    packed(run.graphs[0])  # whose model and stages are those of all: it is refused before anyone is started
    return run.completed([_Sharing(run, start, store).go(count)])


def shards_of(graphs: Sequence[Graph], count: int) -> list[tuple[int, ...]]:
    """The places of graphs that go to a worker together, in their order.

    What is tuned once for all pictures is tuned once for each shard, so that there are then as few as workers.
    """
    once = any(True for graph in graphs[:1] for _ in done_once(graph))
    most = -(-len(graphs) // (count if once else count * SHARDS_A_WORKER)) if graphs else 1
    size = most if once else min(most, IN_FLIGHT)
    return [tuple(range(first, min(first + size, len(graphs)))) for first in range(0, len(graphs), size)]


@dataclass(slots=True, eq=False)
class _Hand:
    """One worker, and what it has to do."""

    number: int
    worker: Worker
    silent: float = 0.0  # seconds since it said something
    ready: bool = False
    shard: tuple[int, ...] = ()
    why: str = ""  # it is ended by us


@dataclass(slots=True)
class _Sharing:
    run: WholeRun
    start: Start
    store: RunStore | None = None
    waiting: deque[tuple[int, ...]] = field(default_factory=deque[tuple[int, ...]])
    hands: list[_Hand] = field(default_factory=list[_Hand])
    said: queue.SimpleQueue[tuple[_Hand, str | None]] = field(default_factory=queue.SimpleQueue)
    listening: list[threading.Thread] = field(default_factory=list[threading.Thread])
    strikes: Counter[int] = field(default_factory=Counter[int])
    there: set[Path] = field(default_factory=set[Path])  # results that were written, also by who has ended since
    warned: set[str] = field(default_factory=set[str])  # what plugins have warned of, in any worker
    lost: int = 0  # workers in a row
    parts: dict[int, tuple[Outcome, dict[str, str]]] = field(default_factory=dict)  # by place
    calls: list[BatchInfo] = field(default_factory=list[BatchInfo])

    @property
    def graphs(self) -> Sequence[Graph]:
        return self.run.graphs

    def go(self, count: int) -> RunPart:
        """Have everything done; gives it in the order of the pictures."""
        self.waiting = deque(shards_of(self.graphs, count))
        try:
            for number in range(min(count, len(self.waiting))):
                self._begin(number)
            last = time.monotonic()
            while len(self.parts) < len(self.graphs):
                self._hear()
                now = time.monotonic()
                # Where a look comes later than that, this process stood still, as after Ctrl-Z, and heard nobody.
                went, last = min(now - last, 2 * TICK), now
                for each in [*self.hands]:  # as it is now: whoever is gone leaves it
                    each.silent += went
                    # What has been said is heard first.
                    if patience() > 0 and each.silent > max(SILENCE, patience()) and self.said.empty():
                        each.why = f"it said nothing for {max(SILENCE, patience()):g} s"
                        self._gone(each, each.worker.end())
        finally:
            # Together, since each may take a moment to end
            ends = [threading.Thread(target=hand.worker.end) for hand in self.hands]
            for each in ends:
                each.start()
            for each in ends:
                each.join()
            self.hands.clear()
            self._hear_the_last()
        outcomes, missed = zip(*(self.parts[place] for place in range(len(self.graphs))), strict=True)
        return RunPart(list(outcomes), self.calls, list(missed))

    def _begin(self, number: int) -> None:
        hand = _Hand(number, self.start(number))
        self.hands.append(hand)
        name = f"retouch-worker-{number}"
        self.listening.append(threading.Thread(target=self._listen, args=(hand,), name=name, daemon=True))
        self.listening[-1].start()
        hand.worker.send(packed(ShardJob(self.run.request, self.run.settings, self.store and self.store.store)))

    def _listen(self, hand: _Hand) -> None:
        """What one thread for each worker does."""
        for line in hand.worker.lines():
            self.said.put((hand, line))
        self.said.put((hand, None))

    def _hear_the_last(self) -> None:
        """What was written before all were ended stands in the journal: without its line it could be anybody's file."""
        for each in self.listening:
            each.join(TICK)
        while not self.said.empty():
            _, line = self.said.get()
            with suppress(ValueError):
                message = unpacked(line) if line else None
                if isinstance(message, Told) and message.event in _OF_THE_JOURNAL:
                    self._enter(message.event, message.facts)

    def _hear(self) -> None:
        try:
            hand, line = self.said.get(timeout=TICK)
        except queue.Empty:
            return
        if hand not in self.hands:  # its end is known
            return
        if line is None:
            self._gone(hand, hand.worker.end())
            return
        hand.silent = 0.0
        try:
            message = unpacked(line)
        except ValueError as why:
            self._gone(hand, f"said what nobody understands ({why})")
            return
        match message:
            case WorkerReady():
                hand.ready = True
                self._give(hand)
            case Told(event, facts):
                self._told(hand, event, facts)
            case ShardDone():
                self.parts.update(zip(hand.shard, zip(message.outcomes, message.missed, strict=True), strict=True))
                self.calls += message.calls
                self.run.shared.put(message.entries)
                if self.store:
                    self.store.taken.update(message.taken)
                hand.shard, self.lost = (), 0
                self._give(hand)
            case Stopped(why):
                self._gone(hand, why)
            case Alive() | _:
                pass

    def _give(self, hand: _Hand) -> None:
        """The next shard, if one waits."""
        if hand.ready and not hand.shard and self.waiting:
            hand.shard = self.waiting.popleft()
            hand.worker.send(packed(Shard(hand.shard, tuple(self.graphs[place] for place in hand.shard))))

    def _told(self, hand: _Hand, event: str, facts: Mapping[str, Any]) -> None:
        if event in _OF_THE_JOURNAL:
            self._enter(event, facts)
            return
        if event == "warned":
            if facts["text"] in self.warned:
                return
            self.warned.add(facts["text"])
        self.run.tell(event, facts)
        if event == "stuck" and 0 < patience() * PATIENCES <= facts["s"]:
            where = f"'{facts['function']}' of {facts['plugin']} ({facts['place']})"
            hand.why = f"{where} did not give way for {facts['s']:g} s"
            self._gone(hand, hand.worker.end())

    def _enter(self, event: str, facts: Mapping[str, Any]) -> None:
        """A line of a worker for the journal."""
        if event == "written":
            self.there.add(facts["path"])
            self.run.journal.saved(**facts)
        else:
            self.run.journal.failed(**facts)

    def _gone(self, hand: _Hand, how: str) -> None:
        """A worker has ended: its pictures are done by another, each alone, so that one that ends workers is found."""
        how, shard = hand.why or how, hand.shard
        self.hands.remove(hand)
        hand.worker.end()
        self.run.journal.tidy()
        self.lost += 1
        self.strikes.update(shard)
        again = [place for place in shard if self.strikes[place] < STRIKES]
        for place in shard:
            if self.strikes[place] >= STRIKES:
                self._fail(place, "RT923", how)
        self.run.tell("worker", {"lost": how, "again": len(again)})
        self.waiting.extendleft((place,) for place in reversed(again))
        # Then it is not the pictures: no worker lives here.
        if self.lost >= LOST_IN_A_ROW:
            for place in [place for shard in self.waiting for place in shard]:
                self._fail(place, "RT924", how)
            self.waiting.clear()
        # Whoever is idle takes it; another worker, with a model of its own, only where those are too few.
        if len(self.waiting) > sum(not each.shard for each in self.hands):
            self._begin(hand.number)
        for each in self.hands:
            self._give(each)

    def _fail(self, place: int, code: str, how: str) -> None:
        item = self.graphs[place].item
        report = Report()
        report.add(code, NOWHERE, name=item.name if item else "the recipe", how=how)
        results = dict.fromkeys(results_of(self.graphs[place]))
        for path in results.keys() - self.there:
            self.run.journal.failed(path, item, report.items[0])
        told = report.items[0]
        self.run.tell("failed", {"item": item.name if item else "", "code": code, "message": told.message})
        self.parts[place] = Outcome(item, [path for path in results if path in self.there], failures=[told]), {}
