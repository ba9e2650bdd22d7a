"""A lock that somebody holds for long is waited for, and said whose it is and what to do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from retouch.pictures import atomic
from retouch.pictures.holders import Holder, holder
from retouch.pictures.journal import NAME, FolderJournal
from retouch.run.files.run_journal import RunJournal, held

HOLD = """
import fcntl, sys
file = open(sys.argv[1], "ab")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""

pytestmark = pytest.mark.skipif(not Path("/proc/locks").exists(), reason="only Linux tells who holds a lock")


@contextmanager
def held_by_another(path: Path, *, stopped: bool) -> Iterator[subprocess.Popen[str]]:
    """Another process has the lock of a file; stopped: as by Ctrl-Z, and known to be so."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        if stopped:
            process.send_signal(signal.SIGSTOP)
            os.waitpid(process.pid, os.WUNTRACED)  # returns when it is stopped
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("stopped", [True, False])
def test_who_holds_a_lock_is_told_with_state_and_begin(tmp_path: Path, stopped: bool) -> None:
    with held_by_another(tmp_path / "x", stopped=stopped) as process, (tmp_path / "x").open("rb") as file:
        who = holder(file)
    assert who
    assert (who.pid, who.is_stopped) == (process.pid, stopped)
    assert who.begun
    assert f"process {process.pid} (" in str(who)


def test_nobody_holds_what_is_free(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    with (tmp_path / "x").open("rb") as file:
        assert holder(file) is None


def test_a_run_says_who_keeps_its_journal_and_goes_on_when_it_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told once, however long it takes; the line is written in the end."""
    monkeypatch.setattr(atomic, "PATIENCE", 0.0)
    said: list[Mapping[str, Any]] = []
    with held_by_another(tmp_path / NAME, stopped=True) as process:

        def hear(event: str, facts: Mapping[str, Any]) -> None:
            assert event == "waiting"
            said.append(facts)
            process.kill()  # what the message says
            os.waitpid(process.pid, 0)

        journal = RunJournal([], None, hear)
        journal._tell(tmp_path, "taken", source="cat.png")
    (facts,) = said
    assert facts["code"] == "RT462"
    assert "which is stopped, begun " in facts["message"]
    assert f"kill -CONT {process.pid}" in facts["help"]
    assert [line["source"] for line in FolderJournal(tmp_path).lines()] == ["cat.png"]


def test_a_holder_that_cannot_be_seen_is_looked_for_by_other_means() -> None:
    """Of another container or machine the system tells nothing."""
    facts = held(Path("out/.retouch.jsonl"), None)
    assert "another process" in facts["message"]
    assert "lsof out/.retouch.jsonl" in facts["help"]
    assert "wait for it" in held(Path("x"), Holder(5, "retouch", "running", None))["help"]


def test_a_part_that_a_stopped_cleaner_holds_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file goes to another name."""
    names = iter(["aaaaaaaa", "bbbbbbbb"])
    monkeypatch.setattr(atomic.secrets, "token_hex", lambda _: next(names))
    opened, held_too = Path.open, []

    def open_and_lose(path: Path, mode: str = "r", *args: Any) -> Any:
        file = opened(path, mode, *args)
        if "aaaaaaaa" in path.name:  # a cleaner was there first
            held_too.append(opened(path, "rb"))
            assert atomic.locked(held_too[-1])
        return file

    monkeypatch.setattr(Path, "open", open_and_lose)
    with atomic.replacing(tmp_path / "x.png") as file:
        file.write(b"whole")
    held_too[0].close()
    assert (tmp_path / "x.png").read_bytes() == b"whole"
