"""What is raised where nobody catches it: by a plugin's thread, by what it lets go, at the end of the process.

Python prints a traceback of it; here it is one line, with the plugin's name before it as before all that it says.
So is what Python says of a coroutine that a plugin begins and never awaits; what it warns of has its name, once.
"""

from __future__ import annotations

import re
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from traceback import walk_tb
from typing import Any, TextIO

from retouch.cli.streams.speakers import A_LIBRARY, OURS, Answers, Remarks, known_plugins, speaker
from retouch.cli.streams.talk import silent_answers
from retouch.plugins.survival import survive

Warned = Callable[[str, str], object]


def say_as(who: str, text: str) -> None:
    """Write what a plugin says on standard error, each line with its name."""
    stream: TextIO | None = sys.stderr
    if isinstance(stream, Remarks):
        stream.say(who, text)
    elif stream is not None:
        stream.write("".join(f"{who}: {line}" for line in text.splitlines(keepends=True)))


@contextmanager
def last_words(warned: Warned = say_as) -> Iterator[None]:
    """Tell meanwhile in one line what a plugin raises where nobody catches it; of others Python tells as always.

    warned: hears of each warning of a plugin once, with its name.
    """
    before, showing = (threading.excepthook, sys.unraisablehook), warnings.showwarning
    _hear(before)
    _hear_warnings(showing, warned)
    try:
        yield
    finally:
        threading.excepthook, sys.unraisablehook = before
        warnings.showwarning = showing


def after_the_answer() -> None:
    """From now on, to the end of the process: no answer comes any more, and what is said is labelled as before.

    What plugins do at exit does not end the process either, whose exit code tells what became of the work.
    """
    survive()
    silent_answers()
    _hear((threading.excepthook, sys.unraisablehook))
    _hear_warnings(warnings.showwarning, say_as)
    if sys.stdout is not None and sys.stderr is not None:
        remarks = _Afterwards(sys.stderr)
        sys.stdout, sys.stderr = Answers(sys.stdout, remarks), remarks  # pyright: ignore[reportAttributeAccessIssue]


def words_of(error: BaseException) -> tuple[str, str]:
    """The plugin whose code raised an error, or "", and the error in one line with the place in that code."""
    said = f"{type(error).__name__}: {error}".splitlines()[0].removesuffix(": ")
    frames = [*walk_tb(error.__traceback__)]
    for frame, line in reversed(frames):
        module = str(frame.f_globals.get("__name__", ""))
        if (plugin := known_plugins().get(module.partition(".")[0])) is not None:
            return plugin, f"{said} ({Path(frame.f_code.co_filename).name}, line {line})"
    return OURS, said


class _Afterwards(Remarks):
    """Standard error when all is answered: Python flushes it at last, and then a line is over."""

    def flush(self) -> None:
        self.finish()
        super().flush()


def _hear(others: tuple[Any, Any]) -> None:
    """Put hooks before these, which hear of what is no plugin's."""

    def of_a_thread(args: Any) -> None:
        if isinstance(args.exc_value, SystemExit) or not _told(args.exc_value, "its thread has ended"):
            others[0](args)

    def let_go(args: Any) -> None:
        when = "raised at exit" if "atexit" in (args.err_msg or "") else "raised where nobody can catch it"
        if not _told(args.exc_value, when):
            others[1](args)

    threading.excepthook, sys.unraisablehook = of_a_thread, let_go


def _hear_warnings(shown: Any, warned: Warned) -> None:
    """Put a hook before this one, which shows those of others.

    What Python remembers of warnings that it has shown it forgets whenever their filters are set, as around each stage.
    """
    told = set[str]()

    def show(message: Any, category: Any, filename: str, lineno: int, file: Any = None, line: Any = None) -> None:
        who = speaker(sys._getframe(1))
        found = _UNAWAITED.match(str(message))
        begun = [(at, number, name) for at, number, name in _BEGUN.findall(str(message)) if _plugin_at(at)]
        stream: TextIO | None = sys.stderr
        if found and begun and stream and file is None:
            at, number, function = begun[-1]
            name, where = found[1].rpartition(".")[2], f"{Path(at).name}, line {number}"
            print(
                f"{_plugin_at(at)}: '{function}' begins '{name}' and never awaits it ({where}): write 'await'",
                file=stream,
            )
        elif who in (OURS, A_LIBRARY) or file is not None:
            shown(message, category, filename, lineno, file, line)
        elif (text := warnings.formatwarning(message, category, filename, lineno, line)) not in told:
            told.add(text)
            warned(who, text)

    warnings.showwarning = show


_UNAWAITED = re.compile("coroutine '(.+?)' was never awaited")
_BEGUN = re.compile(r'File "(.+?)", line (\d+), in (\S+)')  # outermost first


def _plugin_at(path: str) -> str:
    """The plugin whose code a file holds, or ""."""
    for name, module in [*sys.modules.items()]:
        if getattr(module, "__file__", None) == path:
            return known_plugins().get(name.partition(".")[0], OURS)
    return OURS


def _told(error: BaseException | None, what: str) -> bool:
    """Say it if a plugin raised it."""
    plugin, words = words_of(error) if error else (OURS, "")
    stream: TextIO | None = sys.stderr
    if plugin == OURS or stream is None:
        return False
    print(f"{plugin}: {words}; {what}", file=stream)
    return True
