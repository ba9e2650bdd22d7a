"""Python's collector of garbage, kept out of work that leaves none."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_collector() -> Iterator[None]:
    """Keep the collector from running inside of a block.

    Importing libraries and loading models make a million objects that stay, and a run's coroutines and tensors are
    freed by reference count: to look through all of them again and again only costs.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
