"""Nothing else goes on while a stranger's code does: what that changes for the process, only then is nobody else's.

Results are written in threads beside the work.  One that opened a file while a plugin had closed descriptor 1, or had
gone to another folder, would write somewhere else, and be cut off when that is put back.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class TakingTurns:
    """Any number of threads beside each other, or one alone."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._beside = self._wanted = self._depth = 0
        self._whose: int | None = None  # the thread that is alone

    @property
    def mine(self) -> bool:
        """Whether this thread is alone: what it begins and waits for need not take turns."""
        return self._whose == threading.get_ident()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Wait until nobody is at work, and let nobody begin."""
        me = threading.get_ident()
        with self._changed:
            self._wanted += 1
            self._changed.wait_for(lambda: self._whose == me or (self._whose is None and not self._beside))
            self._wanted -= 1
            self._whose, self._depth = me, self._depth + 1
        try:
            yield
        finally:
            with self._changed:
                self._depth -= 1
                if not self._depth:
                    self._whose = None
                    self._changed.notify_all()

    @contextmanager
    def beside(self) -> Iterator[None]:
        """Work beside others, while nobody is alone or waits for it."""
        with self._changed:
            self._changed.wait_for(lambda: self._whose is None and not self._wanted)
            self._beside += 1
        try:
            yield
        finally:
            with self._changed:
                self._beside -= 1
                self._changed.notify_all()


TURNS = TakingTurns()  # of the process, as is what strangers may change
