"""Text to syntax tree. Right recipes are read at once; wrong ones again, statement by statement, to say why."""

from __future__ import annotations

from lark.exceptions import UnexpectedInput

from retouch.lang import syntax as s
from retouch.lang import tables
from retouch.lang.build import TreeBuilder
from retouch.lang.diagnostics import Diagnostic, Report
from retouch.lang.mistakes.blank_in_path import join_paths
from retouch.lang.mistakes.layout_rules import check_layout, check_version
from retouch.lang.mistakes.missing_parts import check_missing_parts
from retouch.lang.mistakes.recover import LIMIT_ERRORS, recover
from retouch.lang.source import comments, read


def parse(source: str | bytes) -> tuple[s.RecipeSyntax, list[Diagnostic]]:
    """Return a tree, and what is wrong with the text. The tree is whole exactly when nothing is."""
    report = Report()
    text = read(source, report)
    if text is None:
        return s.RecipeSyntax(()), report.sorted()
    try:
        statements = TreeBuilder(text, report).build(tables.strict().parse(text))
    except UnexpectedInput as refused:
        statements = recover(text, report)
        join_paths(text, report)
        # It was refused, and nothing that is known of mistakes says why: the place at least is told.
        if not report.items:
            place = min(refused.pos_in_stream or 0, len(text) - 1)
            report.add("RT100", s.Span(place, place + 1), mend='a line is a flow such as: open "cat.png" | invert ddim')
    statements = check_missing_parts(text, statements, report)
    check_layout(text, statements, report)
    check_version(statements, report)
    return s.RecipeSyntax(statements, tuple(comments(text)), span=s.Span(0, len(text))), report.sorted()[:LIMIT_ERRORS]
