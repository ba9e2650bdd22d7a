"""The pace that a machine has shown: what a run keeps of it, and what a plan makes of it."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from retouch.cli.commands import run
from retouch.cli.main import main
from retouch.models import rates
from retouch.models.catalog import find
from retouch.models.rates import Pace
from retouch.run import session
from retouch.run.outcome import Outcome, RunResult
from tests.graph.planned import planned, rate


def test_without_a_figure_no_time_is_told(cache: Path, capsys) -> None:
    assert planned(capsys, "cat.png")["seconds"] is None
    assert main(["plan", "-e", 'invert ddim "cat"->"dog"', "cat.png"]) == 0
    assert "time: not measured yet on this machine" in capsys.readouterr().out


def test_a_figure_of_this_machine_gives_the_time(cache: Path, capsys) -> None:
    rates.keep(rate(5.0))
    rates.keep(rate(10.0, when=2.0))
    told = planned(capsys, "cat.png")
    assert told["rows_per_second"] == 10
    assert told["seconds"][1] > 0
    assert len(rates.known()) == 1
    assert main(["plan", "-e", 'invert ddim "cat"->"dog"', "cat.png"]) == 0
    assert "10 rows a second as measured here (cpu, float32, 2 threads)" in capsys.readouterr().out


@pytest.mark.parametrize("other", [{"height": 32}, {"model": "another"}])
def test_a_figure_of_something_else_gives_none(cache: Path, capsys, other) -> None:
    rates.keep(rate(**other))
    assert planned(capsys, "cat.png")["seconds"] is None


@pytest.mark.parametrize("text", ["", "{", "[1]", '[{"model": 1}]', "[" * 50_000, "null", "\x00"])
def test_a_damaged_cache_is_as_none(cache: Path, capsys, text: str) -> None:
    cache.parent.mkdir()
    cache.write_text(text)
    assert planned(capsys, "cat.png")["seconds"] is None
    rates.keep(rate())
    assert [each.rows_per_second for each in rates.known()] == [10.0]


def test_a_cache_that_cannot_be_written_is_no_failure(cache: Path) -> None:
    cache.parent.write_text("a file where the folder would be")
    rates.keep(rate())
    assert rates.known() == []


def test_nothing_is_kept_where_the_user_wants_none(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETOUCH_CACHE", "off")
    rates.keep(rate())
    assert rates.known() == []
    assert not cache.exists()


@pytest.mark.thorough
def test_a_run_keeps_its_pace(cache: Path, capsys) -> None:
    assert main(["run", "--json", "-e", 'invert ddim "cat"->"dog" steps=10', "cat.png", "-o", "dog.png"]) == 0
    (kept,) = rates.known()
    assert (kept.model, kept.height, kept.width, kept.dtype) == (find("storybook").digest, 16, 16, "float32")
    capsys.readouterr()
    assert planned(capsys, "cat.png")["seconds"][0] > 0


def test_the_first_call_is_not_counted() -> None:
    pace = Pace()
    for kind in ("denoise", "apply", "denoise"):
        pace.heard("call", {"kind": kind, "rows": 4})
    assert pace.rows == 4


def test_what_is_done_with_a_gradient_is_no_part_of_the_pace() -> None:
    pace = Pace()
    for kind in ("denoise", "backward", "denoise", "gradient", "apply", "denoise", "denoise"):
        pace.heard("call", {"kind": kind, "rows": 4})
    assert pace.rows == 4


@pytest.mark.parametrize("workers", [(), ("--workers", "2")])
def test_what_several_workers_did_at_once_is_no_rate_of_one_process(
    cache: Path, monkeypatch: pytest.MonkeyPatch, workers: tuple[str, ...]
) -> None:
    ticks = count()
    monkeypatch.setattr(rates, "time", SimpleNamespace(perf_counter=lambda: float(next(ticks)), time=lambda: 1.0))

    def run_all(graphs: Any, tell: Any) -> RunResult:
        for _ in range(4):
            tell("call", {"kind": "denoise", "rows": 8, "bucket": 8})
        return RunResult([Outcome(graph.item) for graph in graphs], [])

    monkeypatch.setattr(session, "execute", lambda graphs, *, tell, **_: run_all(graphs, tell))
    monkeypatch.setattr(run, "run_by_workers", lambda args, whole, store: run_all(whole.graphs, whole.tell))
    assert main(["run", "-e", 'invert ddim "cat"->"dog"', "cat.png", *workers]) == 0
    assert cache.exists() is not bool(workers)
