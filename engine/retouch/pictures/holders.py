"""Who holds the lock of a file that somebody waits for: Linux tells it below /proc, other systems do not."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

_PROC = Path("/proc")
_STATES = {"R": "running", "S": "asleep", "D": "waiting for a disk", "T": "stopped", "t": "stopped", "Z": "dead"}


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that holds a lock.  begun: when it began, or None where that is not told."""

    pid: int
    name: str
    state: str
    begun: datetime | None

    @property
    def is_stopped(self) -> bool:
        """Whether it does nothing until somebody lets it."""
        return self.state == "stopped"

    def __str__(self) -> str:
        begun = f", begun {self.begun:%Y-%m-%d %H:%M:%S}" if self.begun else ""
        return f"process {self.pid} ({self.name}), which is {self.state}{begun}"


def holder(file: IO[bytes]) -> Holder | None:
    """The process that has locked an open file; None where no process that can be seen from here has."""
    state = os.fstat(file.fileno())
    # "1: FLOCK  ADVISORY  WRITE 4711 00:2b:1310 0 EOF"; some file systems tell another device there than to stat.
    place = f"{os.major(state.st_dev):02x}:{os.minor(state.st_dev):02x}:{state.st_ino}"
    lines = [line.split() for line in _text(_PROC / "locks").splitlines() if " FLOCK " in line and "->" not in line]
    known = [line for line in lines if len(line) > 5 and line[5] == place]
    known = known or [line for line in lines if len(line) > 5 and line[5].rpartition(":")[2] == str(state.st_ino)]
    pids = [int(line[4]) for line in known if line[4].isdigit() and line[4] != "0"]  # 0: of another container
    return _described(pids[0]) if pids else None


def _described(pid: int) -> Holder | None:
    """What /proc says of a process: "4711 (name) S 1 …", its 22nd word when it began, in ticks since the boot."""
    head, _, tail = _text(_PROC / str(pid) / "stat").rpartition(")")
    words = tail.split()
    if not words:
        return None
    begun = None
    with suppress(ValueError, IndexError, OSError):
        boot = next(line.split()[1] for line in _text(_PROC / "stat").splitlines() if line.startswith("btime "))
        begun = datetime.fromtimestamp(int(boot) + int(words[19]) / os.sysconf("SC_CLK_TCK"))
    return Holder(pid, head.partition("(")[2], _STATES.get(words[0], "running"), begun)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
