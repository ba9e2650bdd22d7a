"""Python's collector of garbage, kept out of work that leaves none."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock


class _Blocks:
    """Those that have begun and not ended, in all threads; the collector is the process's."""

    def __init__(self) -> None:
        self._counting, self._inside, self._was = Lock(), 0, True

    def begin(self) -> None:
        with self._counting:
            if not self._inside:
                self._was = gc.isenabled()
            self._inside += 1
            gc.disable()

    def end(self) -> None:
        with self._counting:
            self._inside -= 1
            if not self._inside and self._was:
                gc.enable()


_BLOCKS = _Blocks()


@contextmanager
def quiet_collector() -> Iterator[None]:
    """Keep the collector from running inside of a block.

    Importing libraries and loading models make a million objects that stay, and a run's coroutines and tensors are
    freed by reference count: to look through all of them again and again only costs.  Of blocks in several threads
    the first turns it off and the last turns it on again, in whatever order they end.
    """
    _BLOCKS.begin()
    try:
        yield
    finally:
        _BLOCKS.end()
