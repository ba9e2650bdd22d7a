"""Who does which pictures, and what becomes of them when workers end: with workers that are played, not run."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from retouch.graph.nodes import Graph, Picture
from retouch.pictures.journal import FolderJournal
from retouch.run.executor import BatchInfo
from retouch.run.files import run_journal, shared
from retouch.run.files.provenance import Request
from retouch.run.files.run_journal import RunJournal
from retouch.run.files.shared import SharedFiles
from retouch.run.outcome import Outcome, RunResult
from retouch.run.settings import Settings
from retouch.run.shards import sharding
from retouch.run.shards.messages import Shard, ShardDone, ShardJob, Stopped, Told, WorkerReady
from retouch.run.shards.processes import ProcessWorker
from retouch.run.shards.sharding import execute_by_workers, shards_of
from retouch.run.shards.wire import packed, unpacked
from retouch.run.store.blobs import Store
from retouch.run.store.keeping import RunStore
from retouch.run.whole import WholeRun

MODEL: Any = None
STUCK = {"plugin": "slow", "function": "wait", "place": "slow.py, line 3", "s": 120.0}


def graphs(count: int) -> list[Graph]:
    return [Graph((), (), Picture(Path(f"{place}.png"), place), MODEL) for place in range(count)]


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


ended = Played.end


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


@pytest.mark.parametrize(("count", "workers"), [(1, 1), (1, 4), (7, 2), (100, 3), (40, 40), (1000, 2)])
def test_every_picture_is_done_once_and_told_in_order(count, workers):
    stage = Stage(lambda shard: [done(shard)])
    result = stage.run(count, workers)
    assert names(result) == [str(place) for place in range(count)]
    assert sorted(place for _, places in stage.log for place in places) == list(range(count))
    assert result.denoiser_calls == len(stage.log)
    assert len(stage.workers) <= min(count, workers)
    assert all(worker.ended for worker in stage.workers)


def test_workers_have_the_store_and_what_they_took_is_added_up(tmp_path):
    kept = Store(tmp_path, 10**9)
    store = RunStore(kept, Settings())
    stage = Stage(lambda shard: [replace(done(shard), taken={"invert ddim": len(shard.places)})])
    stage.run(7, 2, store)
    assert store.taken == {"invert ddim": 7}
    assert [worker.store for worker in stage.workers] == [kept, kept]
    stage.run(2, 2)
    assert stage.workers[-1].store is None


@pytest.mark.parametrize(("count", "workers"), [(0, 2), (1, 3), (9, 2), (1000, 2), (10_000, 8)])
def test_shards_hold_every_picture_in_order_and_no_more_than_a_wave(count, workers):
    shards = shards_of(graphs(count), workers)
    assert [place for shard in shards for place in shard] == list(range(count))
    assert all(1 <= len(shard) <= 32 for shard in shards)
    assert len(shards) >= min(count, workers)


def test_what_a_worker_leaves_is_done_by_others_each_picture_alone():
    lost: list[tuple[int, ...]] = []

    def conduct(shard: Shard) -> list[Any] | None:
        if not lost:
            lost.append(shard.places)
            return None
        return [done(shard)]

    stage = Stage(conduct)
    result = stage.run(40, 2)
    assert len(lost[0]) > 1
    assert failed(result) == {}
    again = [places for _, places in stage.log[1:] if set(places) & set(lost[0])]
    assert sorted(again) == [(place,) for place in lost[0]]
    assert stage.events == [("worker", {"lost": "ended by SIGSEGV", "again": len(lost[0])})]


def test_a_picture_that_ends_two_workers_has_failed_and_its_company_has_not():
    stage = Stage(lambda shard: None if 13 in shard.places else [done(shard)])
    result = stage.run(40, 2)
    assert failed(result) == {"13": "RT923"}
    assert "ended by SIGSEGV" in result.outcomes[13].failures[0].message
    assert sum(13 in places for _, places in stage.log) == 2
    assert names(result) == [str(place) for place in range(40)]


def test_workers_that_all_end_are_not_started_for_ever():
    stage = Stage(lambda shard: None)
    result = stage.run(1000, 2)
    assert set(failed(result).values()) == {"RT923", "RT924"}
    assert len(failed(result)) == 1000
    assert len(stage.workers) < 20


def test_what_plugins_warn_of_in_several_workers_is_told_once():
    def conduct(shard: Shard) -> list[Any]:
        said = [Told("warned", {"plugin": "mine", "text": text}) for text in ("old", f"old {shard.places[0]}", "old")]
        return [*said, done(shard)]

    stage = Stage(conduct)
    stage.run(8, 2)
    told = [facts["text"] for event, facts in stage.events if event == "warned"]
    assert sorted(told) == sorted(["old", *(f"old {places[0]}" for _, places in stage.log)])


def test_a_stage_that_does_not_give_way_is_told_and_ended_at_the_second_telling():
    stage = Stage(
        lambda shard: (
            [Told("stuck", {**STUCK, "s": 60.0}), Told("stuck", STUCK)] if 2 in shard.places else [done(shard)]
        )
    )
    result = stage.run(4, 1)
    assert failed(result) == {"2": "RT923"}
    said = result.outcomes[2].failures[0].message
    assert "'wait' of slow (slow.py, line 3) did not give way for 120 s" in said
    assert [event for event, _ in stage.events].count("stuck") == 4


def test_patience_without_end_ends_nobody(monkeypatch):
    monkeypatch.setenv("RETOUCH_PATIENCE", "0")
    stage = Stage(lambda shard: [Told("stuck", STUCK), done(shard)])
    assert failed(stage.run(2, 1)) == {}


class Clock:
    """The time that the run reads: it goes on where a test says so, however slow the machine."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.pace = 0.0, 0.0
        monkeypatch.setattr(sharding, "time", SimpleNamespace(monotonic=self.read))

    def read(self) -> float:
        self.now += self.pace
        return self.now


def test_a_worker_that_is_silent_is_ended(monkeypatch):
    monkeypatch.setattr(sharding, "TICK", 0.01)
    monkeypatch.setattr(sharding, "SILENCE", 0.1)
    monkeypatch.setenv("RETOUCH_PATIENCE", "0.1")
    clock = Clock(monkeypatch)

    def conduct(shard: Shard) -> list[Any]:
        clock.pace = 0.01 * (0 in shard.places)  # time goes on while it is silent
        return [] if 0 in shard.places else [done(shard)]

    monkeypatch.setattr(Played, "end", lambda self: setattr(clock, "pace", 0.0) or ended(self))
    result = Stage(conduct).run(3, 1)
    assert failed(result) == {"0": "RT923"}
    assert "it said nothing for" in result.outcomes[0].failures[0].message


def test_a_run_that_stood_still_ends_no_worker_for_what_it_did_not_hear(monkeypatch):
    """As after Ctrl-Z: all have been silent for an hour, and what they said meanwhile waits to be heard."""
    clock = Clock(monkeypatch)

    def conduct(shard: Shard) -> list[Any]:
        clock.now += 3600
        return [done(shard)]

    stage = Stage(conduct)
    assert failed(stage.run(40, 2)) == {}
    assert not stage.events


def test_a_worker_that_speaks_another_language_is_one_that_ended():
    stage = Stage(lambda shard: ["no JSON"] if 1 in shard.places else [done(shard)])
    assert failed(stage.run(2, 1)) == {"1": "RT923"}


def test_workers_that_cannot_begin_say_why():
    stage = Stage(lambda shard: [Stopped("could not work: ImportError: no torch")])
    result = stage.run(2, 1)
    assert "could not work: ImportError: no torch" in result.outcomes[0].failures[0].message


@pytest.fixture
def results(tmp_path, monkeypatch) -> Path:
    """The folder of the results of all pictures, two of each; they are otherwise graphs of nothing."""

    def results_of(graph: Graph) -> list[Path]:
        return [tmp_path / f"{graph.item.name}.{kind}" for kind in ("png", "csv")] if graph.item else []

    for module in (sharding, run_journal):
        monkeypatch.setattr(module, "results_of", results_of)
    return tmp_path


def written(path: Path) -> Told:
    return Told("written", {"path": path, "work": "w", "sha256": "s"})


def lines_of(folder: Path) -> list[tuple[str, str]]:
    return [(line["event"], line["file"]) for line in FolderJournal(folder).lines()]


def test_what_was_written_before_ctrl_c_is_in_the_journal_though_nobody_had_heard_it(results):
    def stop(shard: Shard) -> list[Any]:
        for worker in stage.workers:
            worker.says(written(results / f"{worker.number}.png"))
        raise KeyboardInterrupt

    stage = Stage(stop)
    with pytest.raises(KeyboardInterrupt):
        stage.run(4, 1)
    assert lines_of(results) == [("saved", "0.png")]


def test_of_a_picture_that_ends_workers_the_results_that_are_there_have_not_failed(results):
    bad = results / "2.png"
    result = Stage(lambda shard: [written(bad), "no JSON"] if 2 in shard.places else [done(shard)]).run(4, 1)
    assert [outcome.files for outcome in result.outcomes] == [[], [], [bad], []]
    assert [each for each in lines_of(results) if each[0] == "failed"] == [("failed", "2.csv")]


def test_what_two_workers_wrote_one_after_the_other_is_told_once_unless_its_bytes_changed(results, monkeypatch):
    made = [Told("written", {"path": results / "0.png", "work": "w", "sha256": sha256}) for sha256 in "aabb"]

    def conduct(shard: Shard) -> list[Any]:
        return [made.pop(), "no JSON"] if made else [done(shard)]

    monkeypatch.setattr(sharding, "STRIKES", 9)
    Stage(conduct).run(1, 1)
    assert [line["sha256"] for line in FolderJournal(results).lines()] == ["b", "a"]


def test_what_a_worker_that_ended_had_half_written_goes_before_the_run_does(results):
    part = results / ".1.png.0123abcd.part"

    def conduct(shard: Shard) -> list[Any] | None:
        if 1 not in shard.places or part in begun:
            return [done(shard)]
        part.touch()
        begun.append(part)
        return None

    begun: list[Path] = []
    assert failed(Stage(conduct).run(3, 1)) == {}
    assert begun
    assert not part.exists()


def test_ctrl_c_ends_all_workers():
    def stop(_shard: Shard) -> list[Any]:
        raise KeyboardInterrupt

    stage = Stage(stop)
    with pytest.raises(KeyboardInterrupt):
        stage.run(4, 2)
    assert all(worker.ended for worker in stage.workers)


def test_a_table_has_its_columns_in_the_order_of_the_recipe_whichever_worker_was_first(tmp_path, monkeypatch):
    """As a stranger's `measure` may, which has another column for some pictures."""
    axes = [(("name", name),) for name in "ab"]
    places = [SimpleNamespace(type="Figures", axes=each) for each in axes]
    monkeypatch.setattr(shared, "shared_places", lambda graphs, refused: {"f.csv": places})
    entries, made = [(axes[0], {"x": 1.0, "y": 2.0}), (axes[1], {"y": 3.0, "z": 4.0})], list[str]()
    for order in (entries, entries[::-1]):
        files = SharedFiles([])
        for each in order:
            files.put([("f.csv", [each])])
        files.made["f.csv"].write(tmp_path / "f.csv", {})
        made.append((tmp_path / "f.csv").read_text())
    assert made == ["name,x,y,z\na,1,2,\nb,,3,4\n"] * 2


def test_a_worker_finds_the_modules_that_its_run_finds(tmp_path, monkeypatch):
    """As those of the folder that `python -m retouch` is typed in, which is on the path as "" or by its name."""
    began: dict[str, str] = {}
    monkeypatch.setattr(subprocess, "Popen", lambda command, env, **_: began.update(env))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", "/elsewhere", *sys.path])
    ProcessWorker({"OMP_NUM_THREADS": "3"})
    assert began["PYTHONPATH"].split(os.pathsep)[:2] == [str(tmp_path), "/elsewhere"]
    assert began["OMP_NUM_THREADS"] == "3"
