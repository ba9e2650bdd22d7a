"""Who does which pictures, and what becomes of them when workers end: with workers that are played, not run."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from retouch.run.settings import Settings
from retouch.run.shards import sharding
from retouch.run.shards.messages import Shard, Stopped, Told
from retouch.run.shards.processes import ProcessWorker
from retouch.run.shards.sharding import shards_of
from retouch.run.store.blobs import Store
from retouch.run.store.keeping import RunStore
from tests.run.played import Played, Stage, done, failed, graphs, names

STUCK = {"plugin": "slow", "function": "wait", "place": "slow.py, line 3", "s": 120.0}
ended = Played.end


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


def test_ctrl_c_ends_all_workers():
    def stop(_shard: Shard) -> list[Any]:
        raise KeyboardInterrupt

    stage = Stage(stop)
    with pytest.raises(KeyboardInterrupt):
        stage.run(4, 2)
    assert all(worker.ended for worker in stage.workers)


def test_a_worker_finds_the_modules_that_its_run_finds(tmp_path, monkeypatch):
    """As those of the folder that `python -m retouch` is typed in, which is on the path as "" or by its name."""
    began: dict[str, str] = {}
    monkeypatch.setattr(subprocess, "Popen", lambda command, env, **_: began.update(env))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", "/elsewhere", *sys.path])
    ProcessWorker({"OMP_NUM_THREADS": "3"})
    assert began["PYTHONPATH"].split(os.pathsep)[:2] == [str(tmp_path), "/elsewhere"]
    assert began["OMP_NUM_THREADS"] == "3"
