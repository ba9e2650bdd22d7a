"""Telling a Ctrl-C from a plugin's own `raise KeyboardInterrupt`: only the one is the user's."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_HEARD: list[bool] = []  # one entry for each `listening` that is going on: whether the signal came


def is_stop(error: BaseException) -> bool:
    """Whether this ends the work: a Ctrl-C.  SystemExit and the like are a plugin's failure, whatever it meant by them.

    Where nobody listens for the signal, every KeyboardInterrupt is believed.
    """
    return isinstance(error, KeyboardInterrupt) and (not _HEARD or any(_HEARD))


def is_stopping() -> bool:
    """Whether a Ctrl-C has come, though somebody may have caught what it raised."""
    return any(_HEARD)


@contextmanager
def listening() -> Iterator[None]:
    """Know meanwhile whether SIGINT came, which raises KeyboardInterrupt as ever; other handlers are left alone."""
    mine = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT)
    if not mine or handler not in (signal.default_int_handler, signal.SIG_IGN):
        yield
        return
    place = len(_HEARD)

    def heard(signum: int, frame: FrameType | None) -> None:
        _HEARD[place] = True
        signal.default_int_handler(signum, frame)

    _HEARD.append(False)
    if handler is not signal.SIG_IGN:  # as of a job in the background: there no Ctrl-C comes at all
        signal.signal(signal.SIGINT, heard)
    try:
        yield
    finally:
        if handler is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        del _HEARD[place:]
