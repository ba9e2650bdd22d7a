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
from tests.e2e.warm import PATIENCE, RETOUCH, Warm

ROOT = Path(__file__).parents[2]
COPY = "encode | decode"
CAT = Scene("cat", "orange", "in a meadow", seed=4)
# A shell starts what runs in the background deaf to Ctrl-C, and the tests may run there.
HEEDING = (
    "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "runpy.run_module('retouch', run_name='__main__', alter_sys=True)"
)


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

    def files(self, name: str) -> set[str]:
        """The names of the files that events of a kind, such as "saved" or "kept", are of."""
        return {Path(event["path"]).name for event in self.events if event.get("event") == name}


def in_process(*args: object, folder: Path, env: dict[str, str], timeout: float = PATIENCE) -> Ran:
    """Run the command line as a process of its own from a cold start, as a user does.  timeout: in seconds."""
    command = [sys.executable, "-m", "retouch", *map(str, args)]
    environment = {**os.environ, **env}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=timeout, check=False
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def in_warm_process(*args: object, folder: Path, env: dict[str, str] | None = None, timeout: float = PATIENCE) -> Ran:
    """The same without the four seconds that importing torch and diffusers takes."""
    with Warm(RETOUCH, *args, folder=folder, env=env) as process:
        out, err = process.communicate(timeout)
    assert process.returncode is not None
    return Ran(process.returncode, out, err)


class OpenProcess:
    """A process of its own that runs one command after the other, so that several pay for the imports once."""

    def __init__(self, env: dict[str, str]) -> None:
        paths = os.pathsep.join(filter(None, [env.get("PYTHONPATH"), str(ROOT)]))
        told, self._told = os.pipe()
        code, env = "from tests.e2e.command import serve; serve()", {**env, "PYTHONPATH": paths}
        self._process = Warm(code, folder=ROOT, env=env, stdin=told)
        os.close(told)

    def __call__(self, *args: object, folder: Path) -> Ran:
        os.write(self._told, f"{json.dumps([str(folder), *map(str, args)])}\n".encode())
        return Ran(*json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        """End it: it reads to the end of what it is told."""
        os.close(self._told)
        with self._process:
            self._process.communicate(timeout=PATIENCE)


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


def run_text(folder: Path, *args: object, recipe: str = COPY) -> Ran:
    """Run a recipe's text in a folder, and be told in JSON; without a text each picture is copied through the model."""
    return retouch("run", "-e", recipe, *args, "--json", folder=folder)
