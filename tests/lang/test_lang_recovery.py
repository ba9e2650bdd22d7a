"""What is said about wrong text: a table of slips, and every one of them reported at once."""

import pytest

from retouch.lang import tables
from retouch.lang.diagnostics import Report
from retouch.lang.mistakes.classify import TABLE
from retouch.lang.mistakes.error_context import ErrorContext
from retouch.lang.mistakes.foreign_syntax import translated
from retouch.lang.mistakes.recover import feed
from retouch.lang.parse import parse
from retouch.lang.words import FAMILIES


def scene(text: str) -> ErrorContext:
    """What stands around the first token that the tolerant grammar cannot take."""
    *tokens, newline = tables.tolerant().lex(f"{text}\n")
    tokens = list(translated(tokens, Report(), frozenset(FAMILIES)))
    failed = feed(tokens, newline)
    assert isinstance(failed, int), "this is grammatical"
    return ErrorContext(tokens, failed, newline, f"{text}\n")


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.code} {row.example}")
def test_each_row_of_the_table_has_an_example_that_it_is_the_first_to_explain(row):
    """No row is dead, and none is hidden by one above it."""
    at = scene(row.example)
    first = next(other for other in TABLE if other.holds(at))
    assert first is row, f"row {TABLE.index(first)} {first.code} '{first.example}' holds first"
    assert row.code in {found.code for found in parse(row.example)[1]}
