"""Ctrl-C before a command listens, while it ends, and again: one line, an exit code that tells, no traceback."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from retouch.plugins.interrupts import is_stopping, listening
from tests.e2e.warm import PATIENCE, Warm

# What runs in the background or under nohup is deaf to Ctrl-C and the hang-up, and the tests may run there.
HEARING = """import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
"""
HEED = HEARING + "from retouch.cli.streams.ending import heed, tell_stopped\nheed()\n"
AGAIN = "os.kill(os.getpid(), signal.{})\n"
ENDING = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture
def hearing() -> Iterator[None]:
    before = {each: signal.getsignal(each) for each in ENDING}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


def ended(code: str, folder: Path) -> tuple[int, str]:
    with Warm(code, folder=folder) as process:
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode is not None
    return process.returncode, said


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_before_the_command_has_begun_ends_it_in_one_line(name: str, tmp_path: Path) -> None:
    code, said = ended(HEED + AGAIN.format(name) + "print('went on', file=sys.stderr)", tmp_path)
    assert code == 128 + signal.Signals[name]
    assert said == "stopped; what was finished is kept\n"


def test_a_signal_while_the_last_is_told_breaks_no_line_and_one_after_it_adds_none(tmp_path: Path) -> None:
    stream = """class Said:
    def write(self, text):
        os.kill(os.getpid(), signal.SIGINT)
        os.write(2, text.encode())
    def flush(self): pass
sys.stderr = Said()
tell_stopped('stopped; all is well')
os.write(2, b'it was told\\n')
"""
    code, said = ended(HEED + stream + AGAIN.format("SIGTERM") + "os.write(2, b'went on')", tmp_path)
    assert (code, said) == (143, "stopped; all is well\nit was told\n")


def test_a_signal_when_all_is_done_changes_no_exit_code(tmp_path: Path) -> None:
    late = (
        "class Late:\n    def __del__(self, kill=os.kill, own=os.getpid(), number=signal.SIGINT): kill(own, number)\n"
    )
    assert ended(f"{HEED}{late}kept = Late()\nsys.exit(3)", tmp_path) == (3, "")


@pytest.mark.usefixtures("hearing")
def test_a_signal_at_any_line_of_the_listening_is_heard_and_leaves_no_handler_behind() -> None:
    """It was raised between two handlers that were given back; the next signal found no place to be noted in."""
    before = {each: signal.getsignal(each) for each in ENDING}
    place, sent = 0, True
    while sent:
        lines, sent = 0, False

        def traced(frame: FrameType, event: str, _: Any, place: int = place) -> Any:
            nonlocal lines, sent
            if not frame.f_code.co_qualname.startswith("listening.__e"):
                return None
            if event == "line":
                if lines == place:
                    sent = True
                    handler = signal.getsignal(signal.SIGINT)
                    assert callable(handler)
                    handler(signal.SIGINT, frame)  # as Python does where a signal comes in this line
                lines += 1
            return traced

        stopped = False
        sys.settrace(traced)
        try:
            with listening(ENDING):
                pass
        except KeyboardInterrupt:
            stopped = True
        finally:
            sys.settrace(None)
        assert stopped == sent
        assert {each: signal.getsignal(each) for each in ENDING} == before
        assert not is_stopping()
        place += 1
    assert place > 12


@pytest.mark.usefixtures("hearing")
def test_a_stop_that_somebody_has_caught_is_raised_at_the_end() -> None:
    with pytest.raises(KeyboardInterrupt), listening():  # noqa: PT012 - what is raised comes of the end
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        raise ValueError
