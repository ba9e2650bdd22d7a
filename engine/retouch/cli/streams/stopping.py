"""Ctrl-C where somebody's code does not give way: it is named, and a second one ends the process at once.

Python hears of a signal only between two of its own instructions, and code may catch what is raised then.  The system
writes to a pipe whatever the main thread does; a thread that reads there can still speak.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from retouch.cli.streams.ending import SIGNALLED, tell_stopped, untold
from retouch.cli.streams.speakers import known_plugins
from retouch.pictures.atomic import remove_unfinished
from retouch.plugins.interrupts import ENDING, is_free

_ENGINE = "the engine"
_SOON = 1.0  # seconds in which whatever heeds a Ctrl-C has ended
_end = os._exit  # as it is before a run stands in for it


@contextmanager
def stoppable() -> Iterator[None]:
    """Let Ctrl-C, and other signals that end a command, be heard meanwhile, whatever goes on."""
    untold()
    heeded = any(is_free(signal.getsignal(each)) for each in ENDING)
    if threading.current_thread() is not threading.main_thread() or not heeded or os.name == "nt":
        yield
        return
    heard, told = os.pipe()
    os.set_blocking(told, False)
    before = signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    thread = threading.Thread(target=_listen, args=(heard,), name="retouch-stopping", daemon=True)
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(told)  # which ends the thread
        thread.join()
        os.close(heard)


def _listen(heard: int) -> None:
    times, hanging = 0, ""
    while signals := os.read(heard, 64):
        ending = [each for each in signals if each in ENDING]
        times += len(ending)
        if not ending:
            continue
        if times == 1 and not select.select([heard], [], [], _SOON)[0]:
            hanging = at_work()
            _say(f"stopping: {hanging or _ENGINE} does not give way; a second Ctrl-C ends it at once")
        elif times > 1:
            # the second may get out of code that swallowed the first: whoever hung is named all the same
            tell_stopped(f"stopped in {at_work() or hanging or _ENGINE}; what was finished is kept")
            remove_unfinished()
            _end(SIGNALLED + ending[-1])


def _say(words: str) -> None:
    with suppress(OSError, ValueError, RuntimeError):
        print(f"{words}\n", end="", file=sys.stderr, flush=True)  # at once: another thread may speak


def at_work() -> str:
    """Whose code the main thread is in, or a thread that writes results; empty where it is the engine's own."""
    frames = sys._current_frames()
    watched = [each for each in threading.enumerate() if each.name.startswith("retouch-lane")]
    for thread in (threading.main_thread(), *watched):
        if found := place(frames.get(thread.ident or 0)):
            return found
    return ""


def place(frame: FrameType | None) -> str:
    """The innermost function of a stranger's plugin, with its file and line; empty where there is none."""
    while frame is not None:
        if plugin := known_plugins().get(str(frame.f_globals.get("__name__", "")).partition(".")[0]):
            code = frame.f_code
            return f"'{code.co_name}' of {plugin} ({Path(code.co_filename).name}, line {frame.f_lineno})"
        frame = frame.f_back
    return ""
