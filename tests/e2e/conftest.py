"""Scenes to edit, and the command line as a user has it: a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from retouch_storybook.world import Scene, render

CAT = Scene("cat", "orange", "in a meadow", seed=4)


@dataclass(frozen=True)
class Ran:
    """What a command said and how it ended."""

    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines() if line.startswith("{")]

    def event(self, name: str) -> dict[str, Any]:
        return next(event for event in self.events if event["event"] == name)


def retouch(*args: object, folder: Path, env: dict[str, str] | None = None, python: Sequence[str] = ()) -> Ran:
    """Run the command line in a folder."""
    command = [sys.executable, *python, "-m", "retouch", *map(str, args)]
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **(env or {})}, capture_output=True, text=True, timeout=300, check=False
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def draw(path: Path, scene: Scene = CAT, size: int | tuple[int, int] = 64, caption: bool = True) -> Path:
    """A scene as a file, its caption beside it."""
    picture = render(scene, 64)
    wanted = (size, size) if isinstance(size, int) else size
    picture.resize(wanted, Image.Resampling.BICUBIC).save(path) if wanted != (64, 64) else picture.save(path)
    if caption:
        path.with_suffix(".txt").write_text(scene.caption())
    return path


@pytest.fixture
def cat(tmp_path: Path) -> Path:
    """The cat of the README, with its caption."""
    return draw(tmp_path / "cat.png")
