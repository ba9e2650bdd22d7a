"""Telling a Ctrl-C from a plugin's own `raise KeyboardInterrupt`: only the one is the user's.

A command is ended by SIGTERM and by a hang-up just as by Ctrl-C.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Sequence
from types import FrameType, TracebackType
from typing import Any

_GOING: list[listening] = []  # each that goes on
_LAST: list[int] = []  # which signal came
_FREE: list[Any] = [signal.default_int_handler, signal.SIG_DFL]  # handlers that nobody has set up for a purpose


def is_stop(error: BaseException) -> bool:
    """Whether this ends the work: a Ctrl-C.  SystemExit and the like are a plugin's failure, whatever it meant by them.

    Where nobody listens for the signal, every KeyboardInterrupt is believed.
    """
    return isinstance(error, KeyboardInterrupt) and (not _GOING or is_stopping())


def is_stopping() -> bool:
    """Whether a Ctrl-C has come, though somebody may have caught what it raised."""
    return any(each.came for each in _GOING)


ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


def stopped_by() -> int:
    """The signal that came last of those that end a command; SIGINT if none is known."""
    return _LAST[-1] if _LAST else signal.SIGINT


def is_free(handler: Any) -> bool:
    """Whether whoever wants to hear of a signal may take the place of its handler."""
    return handler in _FREE


def give_way(handler: Any) -> None:
    """Let a handler make room for whoever listens, as Python's own does."""
    _FREE.append(handler)


class listening:  # noqa: N801 - reads as what it is, in a `with`
    """Know meanwhile whether one of these signals came, and let each raise KeyboardInterrupt, at the latest at the end.

    A handler of somebody else's is left alone, and so is what is ignored: Ctrl-C of a job in the background, the
    hang-up under nohup.  Nothing is raised in the midst of setting handlers up or giving them back.
    """

    def __init__(self, signals: Sequence[int] = (signal.SIGINT,)) -> None:
        self._before: dict[int, Any] = {each: signal.getsignal(each) for each in signals}
        self.came = False

    def __enter__(self) -> None:
        mine = threading.current_thread() is threading.main_thread()
        others = self._before[signal.SIGINT]
        if not mine or not (is_free(others) or others == signal.SIG_IGN):
            self._before.clear()
            return
        _LAST.clear()
        for each, handler in [*self._before.items()]:
            if is_free(handler):
                signal.signal(each, self._heard)
            else:
                del self._before[each]
        _GOING.append(self)

    def __exit__(self, kind: type[BaseException] | None, why: BaseException | None, at: TracebackType | None) -> None:
        if self in _GOING:
            _GOING.remove(self)
        for each, handler in reversed(self._before.items()):  # that of Ctrl-C last, after which it may be raised again
            signal.signal(each, handler)
        if self.came and not isinstance(why, KeyboardInterrupt):  # somebody has caught it
            raise KeyboardInterrupt

    def _heard(self, signum: int, frame: FrameType | None) -> None:
        self.came = True
        _LAST[:] = [signum]
        if frame is None or frame.f_code not in (listening.__enter__.__code__, listening.__exit__.__code__):
            signal.default_int_handler(signum, frame)
