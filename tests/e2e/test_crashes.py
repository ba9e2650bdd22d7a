"""Killed anywhere, or let down by the disk, a batch loses nothing, does nothing twice, and comes to the same bytes.

`make bench` kills a hundred times; `make soak`, a thousand, and before every single file operation.
"""

from __future__ import annotations

import errno
import os
import random
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from retouch.pictures.journal import NAME, FolderJournal
from retouch_storybook.world import Scene
from tests.e2e.command import draw, left_in
from tests.e2e.crash_runs import CrashRuns

pytestmark = [
    pytest.mark.bench,
    pytest.mark.skipif(not shutil.which("cc") or os.name != "posix", reason="no C compiler, or no fork"),
]
SOAK = bool(os.environ.get("RETOUCH_SOAK"))
KILLS, PICTURES = 1000 if SOAK else 100, 12
RECIPE = (
    'invert ddim steps=2 | sample | decode | save "out/{name}.png"\nmask box right=50% | save mask "out/{name}-m.webp"'
)
EXACT = ("--exact",)  # the company of a picture is another when a batch is gone on with


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CrashRuns]:
    made = CrashRuns(tmp_path_factory.mktemp("shim"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("batch")
    for n in range(PICTURES):
        draw(folder / f"{n:02}.png", Scene("cat", "orange", "in a meadow", seed=n))
    return folder


def command(count: int) -> list[str]:
    return ["run", "-e", RECIPE, *(f"{n:02}.png" for n in range(count)), *EXACT]


def contents(out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in left_in(out)}


@pytest.fixture(scope="module")
def reference(runs: CrashRuns, batch: Path) -> dict[str, bytes]:
    """What a run comes to that nothing disturbs."""
    out = batch / "out"
    ended = runs(*command(PICTURES), folder=batch, below=out)
    assert ended.code == 0, ended.said
    found = contents(out)
    assert len(found) == 2 * PICTURES
    return found


def fresh(batch: Path) -> Path:
    shutil.rmtree(batch / "out")
    return batch / "out"


def check_whole(out: Path, reference: dict[str, bytes]) -> None:
    """Whatever is there under a result's name is that result to the byte, at any moment."""
    for name, found in contents(out).items() if out.exists() else ():
        assert name.endswith(".part") or found == reference[name], name


def check_once(out: Path) -> None:
    """No result was made twice: each has one line, or none where the run was killed between the file and its line."""
    saved = Counter(line["file"] for line in FolderJournal(out).lines() if line["event"] == "saved")
    assert not saved or max(saved.values()) == 1, saved.most_common(3)


def test_random_kills_lose_nothing(runs: CrashRuns, batch: Path, reference: dict[str, bytes]) -> None:
    moments, killed = random.Random(5), 0
    while killed < KILLS:
        out, known = fresh(batch) if (batch / "out").exists() else batch / "out", dict[str, int]()
        while True:
            after = moments.uniform(0.02, 0.6) if killed < KILLS else 0
            ended = runs(*command(PICTURES), folder=batch, below=out, after=after)
            check_whole(out, reference)
            now = {name: (out / name).stat().st_ino for name in contents(out)} if out.exists() else {}
            assert all(now[name] == node for name, node in known.items()), "a result that was there was made again"
            known = {name: node for name, node in now.items() if not name.endswith(".part")}
            killed += ended.signal != 0
            if not ended.signal:
                assert ended.code == 0, ended.said
                break
        assert contents(out) == reference
        check_once(out)


FAULTS = {"killed": 0, "no room": errno.ENOSPC, "broken disk": errno.EIO}


@pytest.mark.parametrize("name", FAULTS)
def test_each_file_operation_in_turn(runs: CrashRuns, batch: Path, reference: dict[str, bytes], name: str) -> None:
    """The n-th operation on the folder of results does not happen: the run ends there, or is told of a failure."""
    few = {each: reference[each] for each in reference if each.startswith("00")}
    out, at, count = fresh(batch), 0, 0
    undisturbed = runs(*command(1), folder=batch, below=out)
    while at < undisturbed.count:
        fresh(batch)
        ended = runs(*command(1), folder=batch, below=out, at=at, fault=FAULTS[name])
        check_whole(out, reference)
        assert ended.signal == (9 if name == "killed" else 0), (at, ended)
        if name != "killed":
            assert ended.code in (0, 1, 3, 4), (at, ended)
            assert "Traceback" not in ended.said
            assert ended.code == 0 or "error[RT" in ended.said, (at, ended.said)
            assert ended.code or contents(out) == few, (at, ended.said)
        before = {each: (out / each).stat().st_ino for each in contents(out)} if out.exists() else {}
        again = runs(*command(1), folder=batch, below=out)
        assert again.code == 0, (at, again.said)
        assert contents(out) == few, (at, sorted(contents(out)))
        assert all((out / each).stat().st_ino == node for each, node in before.items() if each in few), at
        assert (out / NAME).exists() or name != "killed"
        check_once(out)
        at, count = at + (1 if SOAK else 5), count + 1
    assert count >= (undisturbed.count if SOAK else 5)
