"""Where statements may stand: at the margin, the version first."""

from __future__ import annotations

import re
from bisect import bisect_right

from retouch.lang import syntax as s
from retouch.lang.diagnostics import Report


def check_layout(text: str, statements: tuple[s.Statement, ...], report: Report) -> None:
    """Report an indented line that does not begin with '|'; the first statement sets the margin."""
    lines = [0, *(found.end() for found in re.finditer("\n", text))]
    margin = None
    for statement in statements:
        start = statement.span.start
        begin = lines[bisect_right(lines, start) - 1]
        indent = text[begin:start]
        if margin is None:
            margin = indent
        elif not indent.strip() and len(indent) > len(margin):
            line_end = text.find("\n", start)
            report.add("RT119", s.Span(start, min(statement.span.end, line_end)))


def check_version(statements: tuple[s.Statement, ...], report: Report) -> None:
    """Report a version that does not come first, or is not known here."""
    for index, statement in enumerate(statements):
        if not isinstance(statement, s.Version):
            continue
        if index:
            report.add("RT121", statement.span, what="the version comes first", mend="move it to the top")
        elif statement.number.raw != "1":
            what = f"this is language version {statement.number.raw}, and version 1 is known here"
            mend = "install a newer one: pip install --upgrade retouch; or try as: retouch 1"
            report.add("RT121", statement.span, what=what, mend=mend)
