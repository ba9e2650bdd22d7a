"""Where plugins are installed while a test runs, and what their neighbours look like without them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.command import draw
from tests.faulty.installing import NEIGHBOURS, run


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of distributions that are installed while the test runs."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return folder


@pytest.fixture(scope="session")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The neighbours' results, with no plugin near."""
    folder = tmp_path_factory.mktemp("alone")
    draw(folder / "cat.png")
    done = run(folder, NEIGHBOURS)
    assert done.code == 0, done.err
    return {name: (folder / name).read_bytes() for name in ("one.png", "two.png")}
