"""What the end-to-end tests start from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from retouch.models.catalog import find
from retouch.models.network.acceleration import EAGER
from tests.e2e.command import draw
from tests.e2e.sessions import KEPT


@pytest.fixture(scope="session", autouse=True)
def loaded() -> None:
    """The embedded model stays loaded: commands that are run in this process find it."""
    KEPT(find("storybook"), "cpu", torch.float32, EAGER)


@pytest.fixture
def cat(tmp_path: Path) -> Path:
    """The cat of the README, with its caption."""
    return draw(tmp_path / "cat.png")
