"""A folder with pictures, a plugin that is only text, and a model that is only numbers."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from retouch.check.check import Checked, check
from retouch.check.reading.environment import Environment
from retouch.graph.nodes import Graph, Picture
from retouch.plugins import registry
from retouch.plugins.discovery import Plugin
from tests.graph.fake_model import among
from tests.graph.plugin_text import STAGES
from tests.graph.verify import verify
from tests.pictures.picture_makers import touched

find_model = among("storybook", "other")


@pytest.fixture(scope="session")
def stages(tmp_path_factory: pytest.TempPathFactory) -> registry.Registry:
    folder = tmp_path_factory.mktemp("plugin")
    (folder / "fake_stages.py").write_text(STAGES)
    sys.path.append(str(folder))
    found = registry.load([Plugin("fake", "fake_stages")])
    assert not found.faults
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("cat.png", "c.png", "dog.png", "a.png", "x.png", "m.png"):
        Image.new("RGB", (64, 64)).save(tmp_path / name)
    Image.new("RGB", (300, 40)).save(tmp_path / "wide.png")
    Image.new("RGB", (128, 96)).save(tmp_path / "large.png")
    half = Image.new("L", (64, 64))
    half.paste(255, (0, 0, 32, 64))
    half.save(tmp_path / "m.png")
    labels = Image.new("L", (64, 64), 3)
    labels.paste(1, (0, 0, 32, 64))
    labels.save(tmp_path / "labels.png")
    (tmp_path / "torn.png").write_bytes(b"not a picture")
    touched(tmp_path / "touched.png")
    (tmp_path / "photos").mkdir()
    for name in ("a.png", "b.png", "b10.png", "b9.png"):
        Image.new("RGB", (64, 64)).save(tmp_path / "photos" / name)
    (tmp_path / "swaps.retouch").write_text(
        "let how = 0.5\ndef swap(a, b) = invert ddim strength=how | attend p2p a->b\n"
    )
    (tmp_path / "more.retouch").write_text("def swap(a, b) = invert null_text | attend p2p a->b\n")
    (tmp_path / "sets.retouch").write_text("defaults steps=5\ndef f() = invert ddim\n")
    (tmp_path / "round.retouch").write_text('use "round.retouch"\ndef f() = invert ddim\n')
    return tmp_path


@pytest.fixture
def world(stages: registry.Registry, folder: Path) -> Callable[..., Environment]:
    def make(*pictures: str | Picture, **settings: Any) -> Environment:
        named = [p if isinstance(p, Picture) else Picture(folder / p, i) for i, p in enumerate(pictures)]
        given = {"pictures": tuple(named)} if pictures else {}
        return Environment(stages, folder, **{"find_model": find_model, "here": folder, **given, **settings})

    return make


@pytest.fixture
def checked(world: Callable[..., Environment]) -> Callable[..., Checked]:
    def run(text: str, *pictures: str | Picture, **settings: Any) -> Checked:
        found = check(text, world(*pictures, **settings))
        for graph in found.graphs:
            verify(graph)
        return found

    return run


@pytest.fixture
def graph(checked: Callable[..., Checked]) -> Callable[..., Graph]:
    """The one graph of a recipe that is right."""

    def run(text: str, *pictures: str | Picture, **settings: Any) -> Graph:
        found = checked(text, *pictures, **settings)
        assert not found.errors, [item.message for item in found.errors]
        (only,) = found.graphs
        return only

    return run


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this machine's pace is kept, beside a picture of 60 by 64."""
    monkeypatch.setenv("RETOUCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (60, 64)).save("cat.png")
    return tmp_path / "cache" / "rates.json"
