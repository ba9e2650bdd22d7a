"""Naming a stage that does not give way: a loop without an await stops everyone, and nothing else says whose it is.

It ends nothing: only the user knows whether a minute is long.  Ctrl-C ends the run, and what was finished is kept.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

PATIENCE = 60.0  # seconds; `RETOUCH_PATIENCE` is another number of them, 0 for no end of it


def patience() -> float:
    """Seconds that a plugin's code may go on without an await before it is told."""
    try:
        return float(os.environ.get("RETOUCH_PATIENCE", PATIENCE))
    except ValueError:
        return PATIENCE


class Watchdog:
    """While this lasts, a stranger's code that goes on for `seconds` is told, again at twice that, and so on.

    Time in which the whole process stood still, as after Ctrl-Z, is nobody's: it is seen by looks that come too late.
    """

    def __init__(
        self,
        seconds: float,
        beats: Callable[[], int],
        whose: Callable[[object], str],
        tell: Callable[[str, Mapping[str, Any]], None],
    ) -> None:
        """Watch the thread that makes this.

        beats: a number that changes whenever a task gives way; whose: the stranger that a module is of, or "".
        """
        self._seconds, self._beats, self._whose, self._tell = seconds, beats, whose, tell
        self._watched = threading.get_ident()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="retouch-watchdog", daemon=True)

    def __enter__(self) -> None:
        if self._seconds > 0:
            self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def _watch(self) -> None:
        pause = min(1.0, self._seconds / 4)
        seen, last, went, told = self._beats(), time.monotonic(), 0.0, self._seconds
        while not self._over.wait(pause):
            went += min((now := time.monotonic()) - last, 2 * pause)
            last = now
            if (beats := self._beats()) != seen:
                seen, went, told = beats, 0.0, self._seconds
            elif went >= told:
                self._name(told)
                told *= 2

    def _name(self, seconds: float) -> None:
        frame: FrameType | None = sys._current_frames().get(self._watched)
        while frame is not None:
            if plugin := self._whose(frame.f_globals.get("__name__")):
                place = f"{Path(frame.f_code.co_filename).name}, line {frame.f_lineno}"
                self._tell("stuck", {"plugin": plugin, "function": frame.f_code.co_name, "place": place, "s": seconds})
                return
            frame = frame.f_back
