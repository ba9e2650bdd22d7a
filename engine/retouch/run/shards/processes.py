"""Workers that are processes of this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from threading import Lock

SOON = 1.0  # seconds in which a worker that hears of its end has ended
COMMAND = (sys.executable, "-P", "-c", "from retouch.cli.commands.worker import main; main()")


class ProcessWorker:
    """A worker in a process of its own, which ends with this one, whatever ends this one.

    Ctrl-C of a terminal goes to a group of processes, and the worker is in none of ours: it is ended by name.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(modules()), **environment},
            text=True,
            start_new_session=True,
        )
        self._ending = Lock()

    def send(self, line: str) -> None:
        """Give it a line."""
        assert self._process.stdin
        with suppress(OSError, ValueError):  # it has ended, which its own lines tell
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()

    def lines(self) -> Iterator[str]:
        """Give what it says, until it has ended."""
        assert self._process.stdout
        with self._process.stdout, suppress(ValueError):  # bytes that are no text
            yield from (line for line in self._process.stdout if line.endswith("\n"))  # not what it began to say

    def end(self) -> str:
        """End it: it hears that nobody speaks to it any more, and else the system ends it."""
        with self._ending:
            assert self._process.stdin
            with suppress(OSError, ValueError):
                self._process.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(SOON)
            if self._process.poll() is None:
                self._process.kill()
            return ending(self._process.wait())


def modules() -> list[str]:
    """The folders in which this process finds its modules, and a worker the same plugins; "" is the one it is in."""
    return [os.path.abspath(each) for each in sys.path]


def ending(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"ended with exit code {code}"
    with suppress(ValueError):
        return f"ended by {signal.Signals(-code).name}{', as when memory is short' if -code == signal.SIGKILL else ''}"
    return f"ended by signal {-code}"


def shares(number: int, count: int, device: str) -> dict[str, str]:
    """The part of this machine that is one worker's, as its environment tells it.

    Threads that wait for another spin, which costs where several processes have more threads than there are cores.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    told = {"OMP_NUM_THREADS": str(max(1, cores // count)), "OMP_WAIT_POLICY": "passive"}
    if device == "cuda":
        import torch

        visible = os.environ.get("CUDA_VISIBLE_DEVICES")  # names are CUDA's: numbers, or parts of a card
        if devices := visible.split(",") if visible else [str(each) for each in range(torch.cuda.device_count())]:
            told["CUDA_VISIBLE_DEVICES"] = devices[number % len(devices)]
    return {name: value for name, value in told.items() if name not in os.environ or name == "CUDA_VISIBLE_DEVICES"}
