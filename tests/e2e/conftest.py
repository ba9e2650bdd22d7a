"""What the end-to-end tests start from."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from retouch.check.matrix import pairs
from tests.e2e.command import draw
from tests.e2e.sessions import stay_loaded


@pytest.fixture(scope="session", autouse=True)
def loaded() -> None:
    """The embedded model is loaded once."""
    stay_loaded("storybook", "storybook128", "storybook_pixels")


@pytest.fixture
def few_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """`retouch matrix` looks at a few pairs: that of all is as it has to be in test_matrix."""
    monkeypatch.setattr("retouch.cli.matrix.pairs", lambda registry: islice(pairs(registry), 20))


@pytest.fixture
def cat(tmp_path: Path) -> Path:
    """The cat of the README, with its caption."""
    return draw(tmp_path / "cat.png")
