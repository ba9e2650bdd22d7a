"""Lines with an odd number of quotes, mended by search.

A quote is tried at the edge of every word. The line must then parse; known words must stand where
stages begin; of several such places the one that makes the shortest text wins.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Set
from itertools import islice

from lark import Token, Tree
from lark.exceptions import UnexpectedInput

from retouch.lang import tables
from retouch.lang.diagnostics import Report
from retouch.lang.syntax import Span
from retouch.lang.words import FAMILIES, OTHERS

LIMIT_LINE, LIMIT_PLACES, LIMIT_LINES = 250, 120, 3  # beyond these the search would take longer than it is worth
EDGE = re.compile(r'(?<=[^\s"])(?=[\s,\])|"-]|$)|(?<=[\s=,(\[>→+-])(?=[^\s"])')
FOREIGN = re.compile(
    """(?<![^\\s=,(\\[>→+-])[“”„«»‘’'`](?=\\S)|(?<=\\S)[“”„«»‘’'`](?![^\\s,)\\]|*→-])"""
)  # at the edge of a text
ODD_TEXT = re.compile(r'[|=]|->|→|^">|-"$|^" | "$|^""$')  # such a text has probably swallowed what stood beside it
Mended = tuple[tuple[int, int, int], int, str]  # how bad, where the quote is, the line


class Quotes:
    """A text with the quotes that its lines lack, and the way back from its places to those of the real text."""

    def __init__(self, text: str, made: Set[str], report: Report):
        self.report, self.known = report, made | {*FAMILIES, *OTHERS}
        self.added: list[int] = []  # places of the mended text
        lines, offset, patience = text.split("\n"), 0, LIMIT_LINES
        for number, line in enumerate(lines):
            length = odd_length(line)
            if length and patience:
                patience -= 1
                lines[number] = self.mend(line, length, offset)
            offset += len(line) + 1
        self.text = "\n".join(lines)

    def mend(self, line: str, length: int, offset: int) -> str:
        """Return the line with its best quote, which is reported; the line as it is if none helps."""
        if swapped := min(self.candidates(line, FOREIGN.finditer(line[:length]), 1), default=None):
            _, place, mended = swapped
            index = (quotes := quotes_of(mended)).index(place)
            opening, closing = quotes[index - index % 2 : index - index % 2 + 2]
            self.report.add("RT102", Span(offset + opening, offset + closing + 1), mend=mended[opening : closing + 1])
            return mended
        best = min(self.candidates(line, islice(EDGE.finditer(line[:length]), LIMIT_PLACES), 0), default=None)
        if best is None:
            return line
        _, place, mended = best
        quotes = quotes_of(mended)
        index = quotes.index(place)
        opening, closing = quotes[index - index % 2 : index - index % 2 + 2]
        missing = "closing" if index % 2 else "opening"
        span = Span(offset + opening, offset + closing - (place == opening))
        self.report.add("RT101", span, which=missing, mend=mended[opening : closing + 1])
        self.added.append(offset + len(self.added) + place)
        return mended

    def candidates(self, line: str, places: Iterable[re.Match[str]], instead: int) -> Iterator[Mended]:
        """Return each way to put one quote into the line so that it parses.  instead: of how many characters."""
        before, after = context(line)
        for place in [found.start() for found in places]:
            mended = f'{line[:place]}"{line[place + instead :]}'
            if place not in quotes_of(mended):
                continue  # behind a backslash it would be part of a text
            try:
                tree = tables.strict().parse(f"{before}{mended}{after}\n")
            except UnexpectedInput:
                continue
            yield self.badness(tree, mended, place), place, mended

    def badness(self, tree: Tree, line: str, place: int) -> tuple[int, int, int]:
        """How unlikely a mended line is: unknown stages and odd texts, then bare names, then the length of the text."""
        families = [str(stage.children[0]) for stage in tree.find_data("plain")]
        texts = [str(text.children[0]) for text in tree.find_data("string")]
        odd = sum(name not in self.known and name != "x" for name in families) + sum(
            map(bool, map(ODD_TEXT.search, texts))
        )
        others = [quote for quote in quotes_of(line) if quote != place]
        index = bisect_left(others, place)
        partner = others[index if index % 2 == 0 else index - 1]
        return odd, sum(1 for _ in tree.find_data("reference")), abs(partner - place)

    def at_home(self, token: Token) -> Token:
        """Return the token at its place in the real text."""
        token.start_pos = self.real(token.start_pos or 0)
        token.end_pos = self.real(token.end_pos or 0)
        return token

    def real(self, place: int) -> int:
        """Return a place of the mended text in the real one."""
        return place - bisect_left(self.added, place)


def odd_length(line: str) -> int:
    """How long the line is without its comment, if it lacks a quote and is short enough to search; else 0."""
    bare = re.sub(r"\\.", "..", line)
    body = re.sub(r'"[^"]*"|#.*', lambda found: found[0] if found[0][0] == '"' else " " * len(found[0]), bare).rstrip()
    return len(body) if body.count('"') % 2 and len(line) <= LIMIT_LINE else 0


def quotes_of(line: str) -> list[int]:
    """Return where quotes stand that are not escaped."""
    return [found.start() for found in re.finditer('"', re.sub(r"\\.", "..", line))]


def context(line: str) -> tuple[str, str]:
    """Return the text to put around one line so that it can be parsed by itself."""
    bare = line.strip()
    if bare.startswith("|"):
        return "x ", ""
    return ("let x = [\n", "\n]") if bare[:1] in '("[' or bare.endswith(",") else ("", "")
