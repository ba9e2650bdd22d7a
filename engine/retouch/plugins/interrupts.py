"""Telling a Ctrl-C from a plugin's own `raise KeyboardInterrupt`: only the one is the user's.

A command is ended by SIGTERM and by a hang-up just as by Ctrl-C.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

_HEARD: list[bool] = []  # one entry for each `listening` that is going on: whether the signal came
_LAST: list[int] = []  # which


def is_stop(error: BaseException) -> bool:
    """Whether this ends the work: a Ctrl-C.  SystemExit and the like are a plugin's failure, whatever it meant by them.

    Where nobody listens for the signal, every KeyboardInterrupt is believed.
    """
    return isinstance(error, KeyboardInterrupt) and (not _HEARD or any(_HEARD))


def is_stopping() -> bool:
    """Whether a Ctrl-C has come, though somebody may have caught what it raised."""
    return any(_HEARD)


ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


def stopped_by() -> int:
    """The signal that came last of those that end a command; SIGINT if none is known."""
    return _LAST[-1] if _LAST else signal.SIGINT


@contextmanager
def listening(signals: Sequence[int] = (signal.SIGINT,)) -> Iterator[None]:
    """Know meanwhile whether one of these signals came, and let each raise KeyboardInterrupt.

    A handler of somebody else's is left alone, and so is what is ignored: Ctrl-C of a job in the background, the
    hang-up under nohup.
    """
    mine = threading.current_thread() is threading.main_thread()
    before = {each: signal.getsignal(each) for each in signals}
    if not mine or before[signal.SIGINT] not in (signal.default_int_handler, signal.SIG_IGN):
        yield
        return
    place = len(_HEARD)

    def heard(signum: int, frame: FrameType | None) -> None:
        _HEARD[place] = True
        _LAST[:] = [signum]
        signal.default_int_handler(signum, frame)

    _HEARD.append(False)
    _LAST.clear()
    # Those that do what they do in any program of Python; whoever set another handler wants that.
    taken = [each for each in signals if before[each] in (signal.default_int_handler, signal.SIG_DFL)]
    for each in taken:
        signal.signal(each, heard)
    try:
        yield
    finally:
        for each in taken:
            signal.signal(each, before[each])
        del _HEARD[place:]
