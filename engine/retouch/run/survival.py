"""What would end the process without a word, made an exception of the stage that asks for it.

Giving back a tensor's memory lets the next reader crash, whoever that is; a recursion that is let go too deep runs out
of the stack; `os._exit` asks nobody.  What native code does by itself, or memory under a tensor that another library
gives back, is beyond this: only a process of its own keeps that away from others.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, NoReturn

import torch

DEEPEST = 3000  # calls; on 8 MB of stack the costliest ways through C code end the process beyond 4000

_STORAGE: Any = torch.UntypedStorage
_resize, _exit, _abort, _set_limit = _STORAGE.resize_, os._exit, os.abort, sys.setrecursionlimit
_runs: list[None] = []  # that go on; those of several threads may overlap
_lock = Lock()


class FreedMemory(RuntimeError):
    """A stage gave back the memory of a tensor."""

    def __init__(self) -> None:
        super().__init__("it gives back the memory of a tensor, which others may still read")


@contextmanager
def surviving() -> Iterator[None]:
    """Keep the process alive: who would end it hears FreedMemory, SystemExit or RecursionError."""
    with _lock:
        _runs.append(None)
        if len(_runs) == 1:
            _put(_guards(os.getpid()))
    try:
        yield
    finally:
        with _lock:
            _runs.pop()
            if not _runs:
                _put((_resize, _exit, _abort, _set_limit))


def _put(functions: tuple[Any, ...]) -> None:
    _STORAGE.resize_, os._exit, os.abort, sys.setrecursionlimit = functions


def _guards(process: int) -> tuple[Any, ...]:
    def resize(storage: Any, size: int) -> Any:
        if size < storage.nbytes():
            raise FreedMemory
        return _resize(storage, size)

    def end(status: int = 1) -> NoReturn:
        if os.getpid() != process:  # the end of a child that was forked
            _exit(status)
        raise SystemExit(status)

    def set_limit(limit: int, /) -> None:
        _set_limit(min(limit, DEEPEST))

    return resize, end, end, set_limit
