"""What the end-to-end tests start from."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.command import draw


@pytest.fixture
def cat(tmp_path: Path) -> Path:
    """The cat of the README, with its caption."""
    return draw(tmp_path / "cat.png")
