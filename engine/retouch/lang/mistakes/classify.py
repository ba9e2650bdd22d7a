"""Why a statement cannot be read: the first row of the table that holds says it."""

from __future__ import annotations

from lark import Token

from retouch.lang.diagnostics import Report
from retouch.lang.mistakes.error_context import ErrorContext
from retouch.lang.mistakes.pattern import MistakePattern
from retouch.lang.mistakes.patterns_structure import SHAPES
from retouch.lang.mistakes.patterns_tokens import SIGNS

TABLE = (*SIGNS, *SHAPES)


def classify(tokens: list[Token], index: int, newline: Token, text: str, report: Report) -> MistakePattern:
    """Report why the token at this index does not fit, and return the row that says so."""
    at = ErrorContext(tokens, index, newline, text)
    row = next(row for row in TABLE if row.holds(at))
    report.add(row.code, row.blame(at), **row.words(at))
    return row
