"""Bytes or text to the one text that everything else reads, refused at once if it is too big to be a recipe."""

from __future__ import annotations

import re
from collections.abc import Iterator

from retouch.lang.diagnostics import Report
from retouch.lang.encodings import not_utf8, readable
from retouch.lang.snippet import normal
from retouch.lang.syntax import NOWHERE, Comment, Span

LIMIT_LENGTH, LIMIT_DEPTH = 500_000, 64
TEXT_OR_COMMENT = r'"(?:[^"\\\n]|\\.)*"?|#[^\n]*'
# Bidirectional overrides and what has no width: a text must be what it looks like.
# The joiners may stay, for Persian, Hindi and emoji need them.
INVISIBLE = re.compile("[\u202a-\u202e\u2066-\u2069\u200b\ufeff\u00ad]")


def read(source: str | bytes, report: Report) -> str | None:
    """Return the text without a byte order mark, with one kind of newline and one at its end; None if it is refused."""
    # Before it is decoded: a film that was named for a recipe would take long.
    if len(source) > LIMIT_LENGTH:
        what = f"a recipe of at least {len(source):,} {'bytes' if isinstance(source, bytes) else 'characters'}"
        report.add("RT122", NOWHERE, what=what, limit=f"{LIMIT_LENGTH:,}")
        return None
    if isinstance(source, bytes):
        source, data = readable(source), source
        if wrong := not_utf8(data):
            what, mend, before = wrong
            place = len(normal(source[:before]))
            report.add("RT123", Span(place, place + 1) if before else NOWHERE, what=what, mend=mend)
            return None
    text = normal(source)
    for found in INVISIBLE.finditer(text):
        what, mend = invisible(found[0])
        report.add("RT118", Span(*found.span()), what=what, mend=mend)
    if (place := too_deep(text)) is not None:
        report.add("RT122", Span(place, place + 1), what="brackets are nested too deep", limit=LIMIT_DEPTH)
    if report.items:
        return None
    return text if text.endswith("\n") else text + "\n"


def invisible(char: str) -> tuple[str, str]:
    """Describe a character that cannot be seen, and how to mend it."""
    return f"an invisible character (U+{ord(char):04X})", "delete it"


def too_deep(text: str) -> int | None:
    """Return where brackets, outside of texts and comments, are first nested deeper than a recipe may."""
    depth = 0
    for found in re.finditer(rf"{TEXT_OR_COMMENT}|[\[\]()]", text):
        if found[0] in ("[", "("):
            depth += 1
            if depth > LIMIT_DEPTH:
                return found.start()
        elif found[0] in ("]", ")"):
            depth = max(0, depth - 1)
    return None


def comments(text: str) -> Iterator[Comment]:
    """Return every comment, in the order of the text."""
    for found in re.finditer(TEXT_OR_COMMENT, text):
        if found[0].startswith("#"):
            body = found[0].rstrip()
            line = text.rfind("\n", 0, found.start()) + 1
            alone = not text[line : found.start()].strip()
            yield Comment(body, Span(found.start(), found.start() + len(body)), alone)
