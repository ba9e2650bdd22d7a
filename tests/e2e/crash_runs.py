"""Runs that are killed, or whose file operations fail: a process that is forked for each, so that all share one start.

Started as a process of its own with the shim preloaded; reads one JSON line a run, and answers with one.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SHIM = Path(__file__).with_name("crash_shim.c")


@dataclass(frozen=True)
class Ended:
    """signal: that ended it, or 0.  count: file operations that it came to, where it ended by itself."""

    code: int
    signal: int
    count: int
    said: str


class CrashRuns:
    """Gives commands to the process that forks."""

    def __init__(self, folder: Path) -> None:
        library = folder / "shim.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, SHIM, "-ldl"], check=True)
        env = {**os.environ, "LD_PRELOAD": str(library), "OMP_NUM_THREADS": "1", "RETOUCH_CACHE": "off"}
        code = "from tests.e2e.crash_runs import serve; serve()"
        self._process = subprocess.Popen(
            [sys.executable, "-c", code], cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __call__(
        self,
        *args: object,
        folder: Path,
        below: Path,
        at: int = -1,
        fault: int = 0,
        after: float = 0,
        by: int = signal.SIGKILL,
        env: Mapping[str, str] | None = None,
    ) -> Ended:
        """Run a command in a folder.

        at: the operation on files below `below` that does not happen: the process is killed, or it fails with `fault`.
        after: seconds after which it is sent the signal `by`, wherever it is; 0 never.
        env: what is set for it beside what all have.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        asked = {"args": [*map(str, args)], "folder": str(folder), "below": str(below), "at": at, "fault": fault}
        print(
            json.dumps(asked | {"after": after, "by": int(by), "env": dict(env or {})}),
            file=self._process.stdin,
            flush=True,
        )
        return Ended(**json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        self._process.communicate(timeout=600)


def serve() -> None:
    """What the process does."""
    import torch

    from retouch.models.catalog import find
    from retouch.models.network.acceleration import EAGER
    from tests.e2e.sessions import KEPT

    torch.set_num_threads(1)
    machine = KEPT(find("storybook"), "cpu", torch.float32, EAGER)
    assert machine.codec  # it is loaded
    for line in sys.stdin:
        print(json.dumps(_forked(json.loads(line))), flush=True)


def _forked(asked: dict[str, Any]) -> dict[str, Any]:
    reader, writer = os.pipe()
    if not (child := os.fork()):
        os.close(reader)
        _run(asked, writer)
    os.close(writer)
    if asked["after"]:
        time.sleep(asked["after"])
        os.kill(child, asked["by"])
    with os.fdopen(reader) as told:
        text = told.read()
    status = os.waitpid(child, 0)[1]
    ended = {"code": -1, "count": 0, "said": ""} | (json.loads(text) if text else {})
    return {**ended, "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0}


def _run(asked: dict[str, Any], writer: int) -> None:
    import io

    from retouch.cli.main import main

    shim = ctypes.CDLL(os.environ["LD_PRELOAD"])
    os.chdir(asked["folder"])
    os.environ.update(asked["env"])
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        shim.arm(asked["below"].encode(), ctypes.c_long(asked["at"]), asked["fault"])
        code = main(asked["args"])
        count = ctypes.c_long(shim.counted()).value
        shim.arm(b"", ctypes.c_long(-1), 0)
    with os.fdopen(writer, "w") as out:
        json.dump({"code": code, "count": count, "said": said.getvalue()[-2000:]}, out)
    os._exit(0)
