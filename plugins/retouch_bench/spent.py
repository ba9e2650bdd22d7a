"""A run in a process of its own, and what that took: memory is known of a whole process alone."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

_RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes


class Spent(NamedTuple):
    """Of one run: seconds, those of all processors, which other work does not change, and the most memory in GB."""

    seconds: float
    cpu_seconds: float
    peak_gb: float


def run(recipe: str, *more: str, folder: Path | None = None) -> Spent:
    """Run a recipe as `retouch run` does, in this folder, which says by itself what is wrong.  Raises RuntimeError.

    more: what else the command line says, such as a picture.
    """
    began = time.monotonic()
    line: Sequence[str] = (sys.executable, "-m", "retouch", "run", "-e", recipe, *more)
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, cwd=folder)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"'{recipe}' failed, as it said above")
    return Spent(time.monotonic() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * _RSS_UNIT / 1e9)
