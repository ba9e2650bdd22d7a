"""What a plugin's code may change for everyone while it runs, and putting that back when it gives way.

What is cheap to read is read before and after a stranger's module is imported, and each advance of its stages.  What
cannot be seen or undone in a process is not here: memory written by other libraries, files that are deleted.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from retouch.plugins.surroundings.of_python import OF_PYTHON
from retouch.plugins.surroundings.of_system import OF_MAIN_THREAD, OF_SYSTEM
from retouch.plugins.surroundings.thing import Thing


@dataclass(slots=True)
class Unchanged:
    """While this lasts somebody else's code runs; at its end what it changed is put back, and `tell` hears of each."""

    tell: Callable[[str], object]
    _before: list[tuple[str, Thing, Any]] = field(default_factory=list[tuple[str, Thing, Any]])

    def __enter__(self) -> None:
        things = _all(threading.current_thread() is threading.main_thread(), "torch" in sys.modules)
        self._before = [(name, thing, thing.read()) for name, thing in things.items()]

    def __exit__(self, *_: object) -> None:
        told, again = list[str](), list[tuple[str, Thing, Any]]()
        for each in self._before:
            try:
                told += _put_back(*each)
            except Exception:  # one thing may stand in the way of another, which is put back after it
                again.append(each)
        for each in again:
            told += _put_back(*each)
        for name in told:
            self.tell(name)


def _put_back(name: str, thing: Thing, before: Any) -> list[str]:
    """Make a thing what it was; gives its name if it was not."""
    if thing.same(before, thing.read()):
        return []
    thing.restore(before)
    return [name]


@cache
def _all(in_main: bool, with_torch: bool) -> Mapping[str, Thing]:
    """Everything there is: light commands load no torch, so it keeps nothing yet."""
    found: dict[str, Thing] = {**OF_PYTHON}
    if with_torch:
        from retouch.plugins.surroundings.of_retouch import OF_RETOUCH
        from retouch.plugins.surroundings.of_torch import OF_TORCH

        found |= {**OF_RETOUCH, **OF_TORCH}
    return {**found, **OF_SYSTEM, **(OF_MAIN_THREAD if in_main else {})}
