"""Ctrl-C before a command has begun to listen and after it has: the process ends at once, in one line.

Python would print a traceback there, and end by the signal itself.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from types import FrameType

from retouch.plugins.interrupts import ENDING, give_way

SIGNALLED = 128  # and the signal: the exit code of what was stopped
KEPT = "stopped; what was finished is kept"
_end = os._exit  # as it is before a run stands in for it
_told: list[str] = []  # what was said of the command's stop
_turn = threading.Lock()  # of whoever says it


def heed() -> None:
    """From now on to the end of the process let no signal end it without a word; for the first line of a command.

    What is ignored stays so: Ctrl-C of a job in the background, the hang-up under nohup.
    """
    taken = [each for each in ENDING if signal.getsignal(each) in (signal.default_int_handler, signal.SIG_DFL)]
    give_way(_at_once)
    for each in taken:
        signal.signal(each, _at_once)
    atexit.register(_too_late, taken)  # the first to be registered is the last that is called


def tell_stopped(words: str) -> None:
    """Say that the command was stopped, once: whoever else would say it, since it is ended again, is silent."""
    with _turn:
        if _told:
            return
        try:
            print(f"{words}\n", end="", file=sys.stderr, flush=True)  # at once: another thread may speak
        except RuntimeError:  # the signal came in the midst of another line
            os.write(2, f"\n{words}\n".encode())
        except (OSError, ValueError):  # nobody listens
            pass
        _told.append(words)


def untold() -> None:
    """Begin another command of this process, which may be stopped as well."""
    _told.clear()


def _at_once(signum: int, frame: FrameType | None) -> None:
    if _turn.locked():  # it is being said, perhaps by what this interrupts, and then the process ends anyway
        return
    tell_stopped(KEPT)
    if atomic := sys.modules.get("retouch.pictures.atomic"):  # else nothing was begun
        atomic.remove_unfinished()
    _end(SIGNALLED + signum)


def _too_late(taken: list[int]) -> None:
    """Nothing is left to be stopped: the exit code is that of the work."""
    for each in taken:
        signal.signal(each, signal.SIG_IGN)
