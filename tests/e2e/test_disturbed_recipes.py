"""Drawn recipes that are killed, shared by workers and by two commands at once: the same bytes, none made twice."""

from __future__ import annotations

import os
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from random import Random
from time import monotonic
from typing import Any

import pytest

from retouch.pictures.journal import FolderJournal
from tests.e2e.crash_runs import CrashRuns, Ended
from tests.e2e.test_wide_recipes import files
from tests.e2e.wide_recipes import gan, scene, wide, world

pytestmark = [
    pytest.mark.bench,
    pytest.mark.skipif(not shutil.which("cc") or os.name != "posix", reason="no C compiler, or no fork"),
]

SECONDS = 60  # for each kind
KILLS = 3
KINDS = {"tiny": lambda seed: wide(seed, "tiny"), "gan": gan, "scene": scene}


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[CrashRuns, CrashRuns]]:
    """Two commands that may run at once."""
    made = CrashRuns(tmp_path_factory.mktemp("one")), CrashRuns(tmp_path_factory.mktemp("other"))
    yield made
    for each in made:
        each.close()


@pytest.mark.parametrize("kind", KINDS)
def test_killed_shared_and_at_once_it_comes_to_the_same_bytes_and_makes_nothing_twice(
    kind: str, tmp_path: Path, two: tuple[CrashRuns, CrashRuns]
) -> None:
    home, begun, ran = world("tiny", tmp_path), monotonic(), 0
    for seed in count():
        if monotonic() - begun > SECONDS:
            break
        recipe, pictures = KINDS[kind](seed)
        ran += disturbed(recipe, pictures, home, f"{seed}", two, Random(seed))
    assert ran, "none ran, so nothing is shown"


def disturbed(
    recipe: str, pictures: list[str], home: Path, at: str, two: tuple[CrashRuns, CrashRuns], chance: Random
) -> bool:
    """Compare what a recipe comes to when it is let alone with what it comes to when not; whether it ran at all."""
    (home / "r.retouch").write_text(recipe)
    one, other = two

    def run(out: str, *more: str, of: CrashRuns = one, **how: Any) -> Ended:
        given = ["run", "r.retouch", *pictures, "-o", out, "--exact", *more]
        return of(*given, folder=home, below=home / out, **how)

    begun = monotonic()
    if run(f"{at}a").code:
        return False
    took, made, told = monotonic() - begun, files(home / f"{at}a"), (recipe, pictures)
    if not made:
        return False
    for _ in range(KILLS):  # then the same command again
        by = chance.choice([signal.SIGKILL, signal.SIGTERM])
        ended = run(f"{at}e", after=chance.uniform(0.02, took), by=by)
        assert ended.signal in (0, by), (told, ended)
        assert ended.code in (-1, 0, 143), (told, ended)
        found = {name: each for name, each in files(home / f"{at}e").items() if not name.endswith(".part")}
        assert found.items() <= made.items(), (told, "half-written")
    ended = run(f"{at}e")
    assert ended.code == 0, (told, ended)
    assert files(home / f"{at}e") == made, (told, "killed")
    saved = Counter(line["file"] for line in FolderJournal(home / f"{at}e").lines() if line["event"] == "saved")
    assert max(saved.values()) == 1, (told, saved)
    cache = {"RETOUCH_CACHE": str(home / f"cache {at}")}
    with ThreadPoolExecutor(2) as at_once:
        both = [at_once.submit(run, f"{at}{to}", of=of, env=cache) for to, of in (("f", one), ("g", other))]
        for to, each in zip("fg", both, strict=True):
            assert each.result().code == 0, (told, each.result())
            assert files(home / f"{at}{to}") == made, (told, "beside another that shares its store")
    ended = run(f"{at}h", env=cache)
    assert files(home / f"{at}h") == made, (told, "from the store of two", ended)
    if len(pictures) > 1 and chance.random() < 0.3:
        ended = run(f"{at}i", "--workers", "2")
        assert ended.code == 0, (told, ended)
        assert files(home / f"{at}i") == made, (told, "by workers")
    return True
