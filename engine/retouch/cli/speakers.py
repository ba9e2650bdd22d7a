"""Who writes to standard output: our answers go there, what plugins and libraries print goes to standard error.

So the answers of `--json` are JSON whatever a plugin prints, when it is imported or while it works, in any thread.
"""

from __future__ import annotations

import sys
from functools import cache
from types import FrameType
from typing import TextIO

from retouch.cli.talk import Talk

OURS, A_LIBRARY = "", "library"


class Answers(Talk):
    """Standard output.  A line that a plugin writes is handed to `aside`, with the plugin's name before it."""

    def __init__(self, stream: TextIO, aside: Talk, *, plain: bool = False) -> None:
        super().__init__(stream, plain=plain)
        self._aside = aside
        self._begun: dict[str, str] = {}  # by speaker, a line that is not at its end yet
        self.welcome: set[str] = set()  # plugins whose words are the answer: benchmarks

    def write(self, text: str) -> int:
        """Write a text where it belongs."""
        who = speaker(sys._getframe().f_back)
        if who == OURS or who in self.welcome:
            return super().write(text)
        *lines, rest = (self._begun.pop(who, "") + text).split("\n")
        if rest:
            self._begun[who] = rest
        label = "" if who == A_LIBRARY else f"{who}: "
        for line in lines:
            self._aside.write(f"{label}{line}\n")
        return len(text)

    def finish(self) -> None:
        """Hand over the lines that nobody ended."""
        for who, rest in self._begun.items():
            self._aside.write(f"{'' if who == A_LIBRARY else f'{who}: '}{rest}\n")
        self._begun.clear()


def speaker(frame: FrameType | None) -> str:
    """Whose code writes: the innermost of a plugin's and the engine's own that the call came through."""
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        top = module.partition(".")[0]
        if top == "retouch":
            return OURS if module.startswith(("retouch.cli", "retouch.__main__")) else A_LIBRARY
        if (plugin := known_plugins().get(top)) is not None:
            return plugin
        frame = frame.f_back
    return A_LIBRARY  # a bare `print` as a thread, or at exit: whoever asked for it, it is no answer


@cache
def known_plugins() -> dict[str, str]:
    """The name of the plugin behind each top module; of those that come with the engine it is ours."""
    from retouch.plugins.discovery import installed

    return {each.module.partition(".")[0]: OURS if each.built_in else each.name for each in installed()}
