"""Scenes to edit, and the command line as a user has it: a process of its own."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from retouch.cli.main import main
from retouch.pictures.journal import NAME
from retouch_storybook.world import Scene, render

ROOT = Path(__file__).parents[2]
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
        return next(event for event in self.events if event.get("event") == name)


def in_process(*args: object, folder: Path, env: dict[str, str], timeout: float = 300) -> Ran:
    """Run the command line as a process of its own, which is what a user does.  timeout: in seconds"""
    command = [sys.executable, "-m", "retouch", *map(str, args)]
    environment = {**os.environ, **env}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=timeout, check=False
    )
    return Ran(done.returncode, done.stdout, done.stderr)


class OpenProcess:
    """A process of its own that runs one command after the other, so that several pay for the imports once."""

    def __init__(self, env: dict[str, str]) -> None:
        paths = os.pathsep.join(filter(None, [env.get("PYTHONPATH"), str(ROOT)]))
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from tests.e2e.command import serve; serve()"],
            env={**os.environ, **env, "PYTHONPATH": paths},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *args: object, folder: Path) -> Ran:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([str(folder), *map(str, args)]), file=self._process.stdin, flush=True)
        return Ran(*json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        """End it: it reads to the end of what it is told."""
        self._process.communicate(timeout=60)


def serve() -> None:
    """What an `OpenProcess` does."""
    for line in sys.stdin:
        folder, *args = json.loads(line)
        ran = retouch(*args, folder=Path(folder))
        print(json.dumps([ran.code, ran.out, ran.err]), flush=True)


def retouch(*args: object, folder: Path) -> Ran:
    """Run the command line here, in a folder: the same function, without the seconds that importing torch takes."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main([str(arg) for arg in args])
        except SystemExit as stop:  # argparse's own way out
            code = int(stop.code or 0)
    return Ran(code, out.getvalue(), err.getvalue())


def left_in(folder: Path) -> set[str]:
    """The names of all files below a folder, but for the journals of runs."""
    return {path.name for path in folder.rglob("*") if path.is_file()} - {NAME}


def draw(path: Path, scene: Scene = CAT, size: int | tuple[int, int] = 64, caption: bool = True) -> Path:
    """A scene as a file, its caption beside it."""
    picture = render(scene, 64)
    wanted = (size, size) if isinstance(size, int) else size
    picture.resize(wanted, Image.Resampling.BICUBIC).save(path) if wanted != (64, 64) else picture.save(path)
    if caption:
        path.with_suffix(".txt").write_text(scene.caption())
    return path
