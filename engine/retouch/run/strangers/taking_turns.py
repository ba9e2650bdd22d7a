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
        self._whose: threading.Thread | None = None  # who is alone
        self._before = frozenset[threading.Thread]()  # those that were there when it began to be

    @property
    def mine(self) -> bool:
        """Whether this thread is alone, or began while another is: that may wait for it, and would for ever."""
        whose, me = self._whose, threading.current_thread()
        return whose is not None and (whose is me or me not in self._before)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Wait until nobody is at work, and let nobody begin."""
        with self._changed:
            self._wanted += 1
            try:
                self._changed.wait_for(lambda: self.mine or (self._whose is None and not self._beside))
            finally:  # a Ctrl-C ends the wait, too
                self._wanted -= 1
                self._changed.notify_all()
            if self._whose is None:
                self._whose, self._before = threading.current_thread(), frozenset(threading.enumerate())
            self._depth += 1
        try:
            yield
        finally:
            with self._changed:
                self._depth -= 1
                if not self._depth:
                    self._whose, self._before = None, frozenset()
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
