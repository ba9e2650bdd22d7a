"""What the end-to-end tests start from."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

from retouch.check.matrix import pairs
from retouch.check.reading.environment import installed_model
from retouch.models import catalog
from retouch.models.catalog import ModelInfo
from retouch.models.network.acceleration import EAGER
from tests.e2e.command import draw
from tests.e2e.sessions import KEPT
from tests.models.tiny_folder import three_levels


@pytest.fixture
def few_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """`retouch matrix` looks at a few pairs: that of all is as it has to be in test_matrix."""
    monkeypatch.setattr("retouch.cli.commands.matrix.pairs", lambda registry: islice(pairs(registry), 20))


@pytest.fixture
def cat(tmp_path: Path) -> Path:
    """The cat of the README, with its caption."""
    return draw(tmp_path / "cat.png")


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., ModelInfo]:
    """Finds a small random model with the embedded one's card in its place: what is asked for is no weight's matter."""
    folder = tmp_path_factory.mktemp("small")
    three_levels().save_pretrained(folder)
    shutil.copy(installed_model("storybook", None).folder / "card.json", folder)

    def find(name: str, revision: str | None, **beside: Any) -> ModelInfo:
        return installed_model(str(folder) if name in ("storybook", "storybook128") else name, revision, **beside)

    return find


@pytest.fixture(scope="module")
def small_for_commands(small: Callable[..., ModelInfo]) -> Iterator[None]:
    """Commands of this process run the small model where they name the embedded one, or none."""
    found = small("storybook", None)
    KEPT(found, "cpu", torch.float32, EAGER)
    find = catalog.find

    def found_small(name: str, *args: Any, **beside: Any) -> ModelInfo:
        return find(str(found.folder) if name in ("storybook", "storybook128") else name, *args, **beside)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalog, "find", found_small)
        yield


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """A folder with three pictures and their captions."""
    for name in ("one", "two", "three"):
        draw(tmp_path / f"{name}.png")
    return tmp_path
