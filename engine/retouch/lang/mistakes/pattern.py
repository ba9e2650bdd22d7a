"""One row of the table of mistakes: what stands around the token that did not fit, and what to say then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from retouch.lang.mistakes.error_context import ErrorContext
from retouch.lang.syntax import Span

Kinds = frozenset[str] | None


def kinds(*names: str) -> frozenset[str]:
    """Types of tokens; '' is the start of the statement."""
    return frozenset(names)


@dataclass(frozen=True, slots=True)
class MistakePattern:
    """The token that did not fit is `here`, the one before it `after`, the next one `then`.

    Facts are templates over the `ErrorContext`, which is `at` in them.
    """

    code: str
    example: str  # a statement for which this is the first row that holds
    facts: dict[str, str]
    after: Kinds = None
    here: Kinds = None
    then: Kinds = None
    inside: bool | None = None  # of brackets
    when: Callable[[ErrorContext], bool] | None = None
    blame: Callable[[ErrorContext], Span] = lambda at: at.span(0)

    def holds(self, at: ErrorContext) -> bool:
        """Return whether this row explains the failure."""
        return (
            (self.after is None or at.kind(-1) in self.after)
            and (self.here is None or at.kind(0) in self.here)
            and (self.then is None or at.kind(1) in self.then)
            and (self.inside is None or self.inside == bool(at.opener))
            and (self.when is None or self.when(at))
        )

    def words(self, at: ErrorContext) -> dict[str, Any]:
        """Return the facts of the report."""
        return {name: template.format(at=at) for name, template in self.facts.items()}


def before(at: ErrorContext) -> Span:
    """Blame the token before."""
    return at.span(-1)


def edge(at: ErrorContext) -> Span:
    """Blame the token that did not fit, or the one before it where a stage or the line ends."""
    return at.span(-1 if at.kind(0) in ("_NL", "_PIPE") else 0)


def opener(at: ErrorContext) -> Span:
    """Blame the bracket that is open."""
    start = at.opener.start_pos or 0 if at.opener else 0
    return Span(start, start + 1) if at.opener else at.span(0)


def gap(at: ErrorContext) -> Span:
    """Blame the place between two values."""
    return Span(at.span(-1).end - 1, at.span(0).start + 1)


def name_and_sign(at: ErrorContext) -> Span:
    """Blame the name and the '=' before the token that did not fit."""
    return Span(at.span(-2).start, at.span(-1).end)


def odd_quote(at: ErrorContext) -> Span:
    """Blame the place where a line that lacks a quote goes wrong: a word that touches a quote, else the last text."""
    for one, two in pairwise(at.tokens):
        touching = one.end_pos == two.start_pos
        if touching and one.type in ("NAME", "NUMBER", "BADNUMBER") and two.type in ("STRING", "OPENSTRING"):
            return Span(one.start_pos or 0, (two.start_pos or 0) + 1)
        if touching and one.type == "STRING" and two.type == "NAME":
            return Span(one.start_pos or 0, two.end_pos or 0)
    open_text = next(token for token in at.tokens if token.type == "OPENSTRING")
    return Span(open_text.start_pos or 0, open_text.end_pos or 0)
