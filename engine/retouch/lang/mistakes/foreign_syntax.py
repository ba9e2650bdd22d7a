"""What other languages write, as tokens: reported, and replaced by what was meant so that reading goes on."""

from __future__ import annotations

from collections.abc import Iterator, Set

from lark import Token

from retouch.lang.diagnostics import Report
from retouch.lang.syntax import Span
from retouch.lang.tokens import ARROWS, as_name, span_of
from retouch.lang.words import KEYWORDS

LEFT_OUT = {
    "SLASHES": ("'//'", "a comment begins with '#'"),
    "BACKSLASH": ("'\\'", "delete it; a flow goes on in the next line when that begins with '|'"),
}


def translated(tokens: list[Token], report: Report, families: Set[str]) -> Iterator[Token]:
    """The tokens of a statement, without foreign comments and line ends, with '|' for an arrow between stages."""
    for i, token in enumerate(tokens):
        before = tokens[i - 1] if i else None
        if token.type in LEFT_OUT:
            what, mend = LEFT_OUT[token.type]
            report.add("RT118", span_of(token), what=what, mend=mend)
        elif (
            token.type in ARROWS and before is not None and before.type == "_PIPE" and before.end_pos == token.start_pos
        ):
            place = Span(span_of(before).start, span_of(token).end)
            report.add("RT118", place, what=f"'|{token}'", mend="stages are joined by '|'")
        elif token.type in ARROWS and _begins_stage(tokens[i + 1 : i + 3], families):
            report.add("RT104", span_of(token), word=str(tokens[i + 1]))
            if i:
                yield Token.new_borrow_pos("_PIPE", "|", token)
        elif i and token in KEYWORDS:
            yield as_name(token)
        else:
            yield token


def _begins_stage(tokens: list[Token], families: Set[str]) -> bool:
    """Return whether these tokens begin a stage, and can't be the right side of an edit."""
    called = len(tokens) > 1 and tokens[0].type in ("NAME", "DOTTED") and tokens[1].type == "_LPAR"
    return called or (bool(tokens) and tokens[0].type == "NAME" and tokens[0] in families)
