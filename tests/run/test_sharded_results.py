"""What workers write: told once, kept after Ctrl-C and after their end, and nothing of it by halves."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from retouch.graph.nodes import Graph
from retouch.pictures.journal import FolderJournal
from retouch.run.files import run_journal, shared
from retouch.run.files.shared import SharedFiles
from retouch.run.shards import sharding
from retouch.run.shards.messages import Shard, Told
from tests.run.played import Stage, done, failed


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
