"""What would end the process without a word, made an exception of whoever asks for it.

Giving back a tensor's memory lets the next reader crash, whoever that is; a recursion that is let go too deep runs out
of the stack; `os._exit` asks nobody, and `os.execv` makes the process another program.  What native code does by
itself, or memory under a tensor that another library gives back, is beyond this: only a process of its own keeps that
away from others.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, NoReturn

DEEPEST = 3000  # calls; on 8 MB of stack the costliest ways through C code end the process beyond 4000

_ENDS = ("_exit", "abort", "execv", "execve")  # whatever else of os ends a process calls these
_os: Any = os
_spaces: list[Any] = [os, *([sys.modules[name]] if (name := _os.execv.__module__) in sys.modules else [])]
_exit, _set_limit = os._exit, sys.setrecursionlimit
_own = {name: getattr(os, name) for name in _ENDS}
_storage: dict[str, Any] = {}  # torch's own way to resize a storage, once torch is loaded
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
        _guard()
    try:
        yield
    finally:
        with _lock:
            _runs.pop()
            if not _runs:
                for name, own in _own.items():
                    _put(name, own)
                sys.setrecursionlimit = _set_limit
                if own := _storage.get("resize_"):
                    sys.modules["torch"].UntypedStorage.resize_ = own


def survive() -> None:
    """Keep the process alive from now on, to its own end."""
    with _lock:
        _runs.append(None)
        _guard()


@contextmanager
def one_process() -> Iterator[None]:
    """Let a child that was forked meanwhile end where it would go on with its parent's work."""
    process = os.getpid()
    try:
        yield
    finally:
        if os.getpid() != process:
            _exit(0)


def _guard() -> None:
    process = os.getpid()
    for name, own in _own.items():
        _put(name, _ending(own, process))
    sys.setrecursionlimit = _set_limit_within
    if (torch := sys.modules.get("torch")) is not None and hasattr(torch, "UntypedStorage"):
        storage = torch.UntypedStorage
        _storage.setdefault("resize_", storage.resize_)
        storage.resize_ = _resize


def _put(name: str, function: Any) -> None:
    for space in _spaces:  # os, and where os has it from
        setattr(space, name, function)


def _ending(own: Any, process: int) -> Any:
    def end(*given: Any, **named: Any) -> NoReturn:
        if os.getpid() != process:  # a child that was forked
            own(*given, **named)
        raise SystemExit(given[0] if own is _exit and given else 1)

    return end


def _resize(storage: Any, size: int) -> Any:
    if size < storage.nbytes():
        raise FreedMemory
    return _storage["resize_"](storage, size)


def _set_limit_within(limit: int, /) -> None:
    _set_limit(min(limit, DEEPEST))
