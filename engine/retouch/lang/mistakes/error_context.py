"""What stands around a token that did not fit: all that the table of mistakes may look at."""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise

from lark import Token

from retouch.lang.mistakes.tolerant_build import quoted, stray
from retouch.lang.syntax import Span
from retouch.lang.tokens import CLOSERS, OPENERS, body_start, span_of, unclosed


class ErrorContext:
    """The statement and the place where reading it failed. Behind the last token stands the newline."""

    def __init__(self, tokens: list[Token], index: int, newline: Token, text: str):
        self.tokens, self.index, self.newline, self.text = tokens, index, newline, text

    def __getitem__(self, offset: int) -> Token | None:
        """Return the token so many places from the one that did not fit; None before the statement."""
        place = self.index + offset
        if place < 0:
            return None
        return self.tokens[place] if place < len(self.tokens) else self.newline

    def kind(self, offset: int) -> str:
        """Return the type of that token."""
        token = self[offset]
        return token.type if token is not None else ""

    def span(self, offset: int) -> Span:
        """Return the place of that token; of the one that did not fit where there is none."""
        token = self[offset]
        return span_of(token if token is not None else self.here)

    @property
    def first(self) -> Token:
        """The word that begins the statement."""
        return self.tokens[0]

    @property
    def here(self) -> Token:
        """The token that did not fit."""
        return self.tokens[self.index] if self.index < len(self.tokens) else self.newline

    @property
    def before(self) -> str:
        """What stands before it."""
        return str(self[-1])

    @property
    def then(self) -> str:
        """What follows it."""
        return str(self[1])

    @property
    def mark(self) -> str:
        """Its one character, without the line break that it swallowed."""
        return self.text[span_of(self.here).start]

    @property
    def quoted(self) -> str:
        """It as a text."""
        return quoted(str(self.here))

    @property
    def underscored(self) -> str:
        """It as a name."""
        return self.here.replace("-", "_")

    @property
    def option(self) -> str:
        """The word before the '=' that stands before it."""
        return str(self[-2])

    @property
    def option_before(self) -> str:
        """The word before the '=' that stands before the name before it."""
        return str(self[-3])

    @property
    def value(self) -> Token | None:
        """What stands after the first '=', if that was read."""
        read = self.tokens[: self.index]
        return next((two for one, two in pairwise(read) if one.type == "EQUAL"), None)

    @cached_property
    def opener(self) -> Token | None:
        """The bracket that it stands in."""
        return unclosed(self.tokens[: self.index])

    @property
    def opened(self) -> str:
        """That bracket's one character."""
        return self.opener[0] if self.opener else ""

    @property
    def closes(self) -> str:
        """What closes it."""
        return {"[": "]", "(": ")"}.get(self.opened, "")

    @property
    def closed_later(self) -> bool:
        """Whether a bracket is closed behind it that was never opened."""
        depth = 0
        for token in self.tokens:
            depth += (token.type in OPENERS) - (token.type in CLOSERS)
            if depth < 0:
                return True
        return False

    def begins_line(self, offset: int) -> bool:
        """Return whether nothing stands before a token on its line."""
        start = self.span(offset).start
        return not self.text[self.text.rfind("\n", 0, start) + 1 : start].strip()

    @property
    def odd(self) -> tuple[str, str]:
        """What to say about a stray character, this or the one before."""
        return stray(str(self.here if self.here.type == "STRAY" else self[-1]))

    @property
    def body(self) -> int:
        """Where the flow of the statement begins, if that can be seen; else behind it."""
        start = body_start(self.tokens)
        return len(self.tokens) if start is None else start

    def touches(self, left: int, right: int) -> bool:
        """Return whether nothing stands between two tokens."""
        return self.span(left).end == self.span(right).start
