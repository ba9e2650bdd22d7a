"""Who writes: answers go to standard output, all else to standard error, a plugin's lines with its name before each.

So the answers of `--json` are JSON whatever a plugin prints, when it is imported or while it works, in any thread.
"""

from __future__ import annotations

import re
import sys
from contextlib import AbstractContextManager
from functools import cache
from types import FrameType
from typing import TextIO

from retouch.cli.streams.talk import Talk, talking

OURS, A_LIBRARY = "", "library"
_PIECE = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)")


class Remarks(Talk):
    """Standard error.  As there, a line that is begun is held until it ends or whoever writes it flushes."""

    def __init__(self, stream: TextIO, *, plain: bool = False) -> None:
        super().__init__(stream, plain=plain)
        self.welcome: set[str] = set()  # plugins that need no label: benchmarks, whose words are the answer
        self._begun: dict[str, str] = {}  # by speaker, what is not at the end of its line yet
        self._open = ""  # whose line was handed over without its end
        self._redrawn = False  # whether the cursor is at the beginning of a line that is there already

    def put(self, text: str, frame: FrameType | None) -> None:
        """Write a text, labelled if a plugin says it."""
        who = speaker(frame)
        if who not in (OURS, A_LIBRARY, *self.welcome):
            self.say(who, text)
            return
        if text:
            self._end_line("" if text[0] in "\r\n" else "\n")
        super().put(text, frame)

    def flush(self) -> None:
        """Hand over what was written, the line that its speaker has begun as well."""
        self.hand_over(speaker(sys._getframe().f_back))
        super().flush()

    def say(self, who: str, text: str) -> None:
        """Write what somebody else than the engine says, line by line."""
        said = self._begun.pop(who, "") + text
        pieces = _PIECE.findall(said)
        if rest := said[sum(map(len, pieces)) :]:
            self._begun[who] = rest
        for piece in pieces:
            self._piece(who, piece)

    def hand_over(self, who: str) -> None:
        """Write the line that a speaker has begun."""
        if rest := self._begun.pop(who, ""):
            self._piece(who, rest)

    def finish(self) -> None:
        """Hand over the lines that nobody ended."""
        for who in list(self._begun):
            self.hand_over(who)
        self._end_line("\n")

    def _piece(self, who: str, piece: str) -> None:
        if self._open != who:
            self._end_line("\n")
        # A bar that is drawn anew as wide as the terminal would wrap with a label.
        bare = who == A_LIBRARY or self._open or not piece.strip() or (self._redrawn and self._stream.isatty())
        super().put(piece if bare else f"{who}: {piece}", None)
        self._open = "" if piece[-1] in "\r\n" else who
        self._redrawn = piece[-1] == "\r" or (self._redrawn and piece[-1] != "\n")

    def _end_line(self, end: str) -> None:
        if self._open:
            self._open, self._redrawn = "", False
            super().put(end, None)


class Answers(Talk):
    """Standard output.  What a plugin or a library writes is handed to `aside`, line by line."""

    def __init__(self, stream: TextIO, aside: Remarks, *, plain: bool = False) -> None:
        super().__init__(stream, plain=plain)
        self._aside = aside

    @property
    def welcome(self) -> set[str]:
        """The plugins whose words are the answer."""
        return self._aside.welcome

    def put(self, text: str, frame: FrameType | None) -> None:
        """Write a text where it belongs."""
        who = speaker(frame)
        if who == OURS or who in self.welcome:
            super().put(text, frame)
        else:
            self._aside.say(who, text)

    def flush(self) -> None:
        """Hand over what was written."""
        if (who := speaker(sys._getframe().f_back)) == OURS:
            super().flush()
        else:
            self._aside.hand_over(who)

    def fileno(self) -> int:
        """The descriptor, for ourselves; whoever else writes there by itself, or lets a child, writes aside."""
        ours = speaker(sys._getframe().f_back) in (OURS, *self.welcome)
        return self._stream.fileno() if ours else self._aside.fileno()


def speaking() -> AbstractContextManager[Talk]:
    """Standard output and error as these two; gives the first."""
    return talking(lambda stream, aside, plain: Answers(stream, aside, plain=plain), Remarks)


def speaker(frame: FrameType | None) -> str:
    """Whose code writes: the innermost of a plugin's and the engine's own that the call came through."""
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        top = module.partition(".")[0]
        if module == "retouch.cli.streams.talk":  # through which everyone writes
            frame = frame.f_back
            continue
        if top == "retouch":
            return OURS if module.startswith(("retouch.cli", "retouch.__main__")) else A_LIBRARY
        if (plugin := known_plugins().get(top)) is not None:
            return plugin
        frame = frame.f_back
    return A_LIBRARY  # a bare `print` as a thread, or at exit: whoever asked for it, it is no answer


@cache
def known_plugins() -> dict[str, str]:
    """The name of the plugin behind each top module; of those that come with the engine it is ours."""
    from retouch.plugins.announced import announced
    from retouch.plugins.discovery import installed

    found: dict[str, str] = {}
    for each in installed():
        families = () if each.built_in else announced(each).families().values()  # may be of another module
        for module in (*families, each.module):
            found[module.partition(":")[0].partition(".")[0]] = OURS if each.built_in else each.name
    return found
