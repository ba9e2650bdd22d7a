"""`retouch run --ray`: a cluster of this machine; skipped where Ray is not installed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.command import HEEDING, in_process
from tests.e2e.test_workers import PLAIN, marked_processes, pictures, results

pytest.importorskip("ray")
pytestmark = pytest.mark.bench


def test_a_cluster_takes_from_the_store_and_keeps_there(tmp_path: Path) -> None:
    names, env = pictures(tmp_path, 3), {"RETOUCH_CACHE": str(tmp_path / "cache")}
    line = ["run", "-e", PLAIN, *names, "--exact", "--json"]
    cluster = ["--ray", "local", "--workers", "2"]
    first = in_process(*line, "-o", "a", *cluster, folder=tmp_path, env=env)
    assert first.code == 0, first.err
    for out, more in (("b", cluster), ("c", [])):
        again = in_process(*line, "-o", out, *more, folder=tmp_path, env=env)
        assert again.code == 0, again.err
        assert again.event("done")["store"], out
        assert again.event("done")["rows"] < first.event("done")["rows"]
        assert results(tmp_path / out) == results(tmp_path / "a")


def test_a_cluster_makes_the_bytes_of_one_process_though_a_worker_is_killed(tmp_path: Path) -> None:
    names = pictures(tmp_path, 6)
    line = ["run", "-e", PLAIN, *names, "--exact"]
    alone = in_process(*line, "-o", "alone", folder=tmp_path, env={})
    assert alone.code == 0, alone.err
    marked = {**os.environ, "RETOUCH_TEST_MARK": str(tmp_path)}
    command = [sys.executable, "-m", "retouch", *line, "-o", "shared", "--ray", "local", "--workers", "2", "--json"]
    told: list[str] = []
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=marked
    ) as process:
        assert process.stdout is not None
        for said in process.stdout:
            told.append(said)
            if '"stage"' in said and len(told) == 1:
                os.kill(working(tmp_path)[0], signal.SIGKILL)
        _, words = process.communicate(timeout=600)
    assert process.returncode == 0, words
    assert sum('"event": "worker"' in each for each in told) == 1
    assert results(tmp_path / "shared") == results(tmp_path / "alone")
    assert not list(tmp_path.rglob("*.part"))


def test_ctrl_c_ends_the_cluster_that_was_started_here(tmp_path: Path) -> None:
    names = pictures(tmp_path, 2)
    recipe = "defaults steps=300\ninvert ddim"
    command = [sys.executable, "-c", HEEDING, "run", "-e", recipe, *names, "-o", "out", "--ray=local", "--json"]
    marked = {**os.environ, "RETOUCH_TEST_MARK": str(tmp_path)}
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=marked
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if '"progress"' in line:
                break
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=600)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert not working(tmp_path)


def working(mark: Path) -> list[int]:
    """The processes that work on pictures."""
    return [
        pid
        for pid in marked_processes(mark)
        if b"retouch.cli.commands.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
