"""What a plugin's code may change for everyone while it runs, and putting that back when it gives way.

What is cheap to read is read before and after each advance of a stranger's stage.  What cannot be seen or undone in a
process is not here: memory written by other libraries, files that are deleted.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from retouch.run.surroundings.of_python import OF_PYTHON
from retouch.run.surroundings.of_system import OF_MAIN_THREAD, OF_SYSTEM
from retouch.run.surroundings.of_torch import OF_TORCH
from retouch.run.surroundings.thing import Thing

_ANYWHERE: Mapping[str, Thing] = {**OF_PYTHON, **OF_TORCH, **OF_SYSTEM}
_IN_MAIN: Mapping[str, Thing] = {**_ANYWHERE, **OF_MAIN_THREAD}


@dataclass(slots=True)
class Unchanged:
    """While this lasts somebody else's code runs; at its end what it changed is put back, and `tell` hears of each."""

    tell: Callable[[str], None]
    _before: Mapping[str, Any] | None = None

    def __enter__(self) -> None:
        self._before = {name: thing.read() for name, thing in _things().items()}

    def __exit__(self, *_: object) -> None:
        for name, thing in _things().items():
            before = (self._before or {}).get(name)
            if name in (self._before or {}) and not thing.same(before, thing.read()):
                thing.restore(before)
                self.tell(name)


def _things() -> Mapping[str, Thing]:
    return _IN_MAIN if threading.current_thread() is threading.main_thread() else _ANYWHERE
