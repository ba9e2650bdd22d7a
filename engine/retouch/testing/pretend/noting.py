"""What a pretended device notes: where the host would wait, and what would have no fixed order."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch

from retouch.testing.pretend.memory import LivingMemory

_NOT_OURS = (str(Path(torch.__file__).parent), str(Path(__file__).parent), "<frozen")
_TICK = ("run/executor.py", frozenset({"_start", "_tick"}))  # where every task waits if one does
_FOR_ALL = frozenset({"brought", "_admit"})  # what waits once for all tasks, since something hangs on a value


class Recording(Protocol):
    """What takes down operations while it is captured.  failed: it did what the device refused."""

    failed: bool

    def record(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], made: Any, there: Any) -> None:
        """Take down an operation on numbers.  there: the tensors of the device that hold what was made."""
        ...


class Noted(NamedTuple):
    """Something that an operation would do on a GPU, and where it is asked for."""

    what: str
    places: tuple[str, ...]  # path:line function, innermost first, without torch's own
    in_tick: bool

    def __str__(self) -> str:
        return f"{self.what}, at {' < '.join(self.places[:4])}"


@dataclass(slots=True)
class PretendedDevice:
    """The device, and what was noted of it.

    waits: where the host would wait.  unordered: sums whose order, and so whose bits, would be the GPU's whim.
    captures, replays: of graphs, how many there were.  capturing: the graph that takes down what is done just now.
    index: its number among the machine's GPUs.  current: the number of the one that streams and graphs are of.
    stream: the current one.  underway: the pools of captures that the allocator has not heard the end of.
    """

    waits: list[Noted] = field(default_factory=list)
    unordered: list[Noted] = field(default_factory=list)
    captures: int = 0
    replays: int = 0
    capturing: Recording | None = None
    index: int = 0
    current: int = 0
    stream: Any = None
    underway: list[Any] = field(default_factory=list)
    memory: LivingMemory | None = None

    @property
    def name(self) -> str:
        """As `--device` takes it."""
        return f"cuda:{self.index}" if self.index else "cuda"

    def end(self, pool: Any) -> None:
        """Tell the allocator that a capture has ended.  Raises RuntimeError where it knows of none."""
        if pool not in self.underway:
            raise RuntimeError("endAllocatePool: not currently recording to mempool_id")
        self.underway.remove(pool)

    @property
    def in_ticks(self) -> list[Noted]:
        """The waits that keep all pictures of a run waiting for one; what is brought for all at once is none."""
        return [wait for wait in self.waits if wait.in_tick and wait.places[0].rpartition(" ")[2] not in _FOR_ALL]


devices: list[PretendedDevice] = []


def note(kind: str, what: str) -> None:
    """Note that something would happen on the device, and where it is asked for."""
    if devices:
        frame, places, ticking = sys._getframe(1), [], False
        while frame:
            code = frame.f_code
            if not code.co_filename.startswith(_NOT_OURS):
                if len(places) < 24:
                    places.append(f"{code.co_filename}:{frame.f_lineno} {code.co_name}")
                ticking |= Path(code.co_filename).as_posix().endswith(_TICK[0]) and code.co_name in _TICK[1]
            frame = frame.f_back
        getattr(devices[-1], kind).append(Noted(what, tuple(places), ticking))


def waited(what: str) -> None:
    """Note that the host would wait.  Raises RuntimeError while a graph is captured, which comes to nothing then."""
    if devices and devices[-1].capturing:
        devices[-1].capturing.failed = True
        raise RuntimeError(f"CUDA error: operation not permitted when stream is capturing ({what})")
    note("waits", what)
