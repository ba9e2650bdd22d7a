"""Places in a text: line and column, and carets under what is meant."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from retouch.lang.syntax import Span

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # a terminal would obey them
LONG = 200  # of a long line so much is shown on either side of the place
NARROW = 20  # and no less than so much of it in all


def normal(text: str) -> str:
    """Return the text as every span counts it: no byte order mark, lines that end with a line feed."""
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


class SourceText:
    """A text by lines, for showing places in it."""

    def __init__(self, text: str, name: str):
        self.text = normal(text)
        self.name = name

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of a place, from 1."""
        return self.text.count("\n", 0, offset) + 1, offset - self.text.rfind("\n", 0, offset)

    def place(self, span: Span) -> dict[str, list[int]]:
        """Both ends of a span, as JSON has them."""
        return {"start": list(self.position(span.start)), "end": list(self.position(span.end))}

    def gutter(self, span: Span) -> str:
        """Return the space that line numbers take."""
        return " " * len(str(self.position(span.start)[0]))

    def frame(self, span: Span, label: str = "", spelt: Callable[[str], str] = str, room: int = 2 * LONG) -> list[str]:
        """Return the place, its line, and carets under what `spelt` will make of it.

        room: how many characters of the line are shown; a terminal breaks longer lines, and carets stand nowhere.
        """
        line, column = self.position(span.start)
        whole = CONTROL.sub("�", self.text.split("\n", line)[line - 1])
        # Of a line of a thousand characters what stands round the place is shown.
        cut = column - 1 - room // 2 if column > room // 2 and len(whole) > room else 0
        shown = whole[cut : cut + room]
        before, marked = shown[: column - 1 - cut], shown[column - 1 - cut : column - 1 - cut + span.end - span.start]
        # A tab stays one, since nobody knows how wide the terminal draws it.
        lead = "".join("\t" if char == "\t" else " " * cells(char) for char in spelt(before))
        carets = "^" * max(1, sum(map(cells, spelt(marked))))
        edge = self.gutter(span)
        return [
            f"{edge}--> {self.name}:{line}:{column}",
            f"{edge} |",
            f"{line} | {shown}",
            f"{edge} | {lead}{carets} {label}".rstrip(),
        ]


def cells(char: str) -> int:
    """How many cells of a terminal a character takes."""
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
