"""A path without quotes that has blanks in it: read as several words, told as one path."""

from __future__ import annotations

import re

from retouch.lang import syntax as s
from retouch.lang.diagnostics import Report
from retouch.lang.mistakes.tolerant_build import AS_TEXT, quoted
from retouch.lang.words import FAMILIES

_PIECE = r"[^\s\"'|=()\[\]{},#+*-][^\s\"'|=()\[\]{},#]*"
_BEFORE = re.compile(rf"(?:{_PIECE}[ \t]+)*\Z")
_AFTER = re.compile(rf"(?:[ \t]+{_PIECE}(?![^\s|]))*")
_LIKE_A_PATH = re.compile(r"[\w~.-]*[/\\].*|.*\.[A-Za-z]\w{1,5}")
_TAKES_A_PATH = ("open", "save", "use", "model")  # a file may stand right behind these
_KINDS = ("image", "mask", "latents")  # methods of theirs


def join_paths(text: str, report: Report) -> None:
    """Replace what was said of the parts of such a path by one message about all of it."""
    for found in [item for item in report.items if item.code == "RT110"]:
        if found not in report.items or not _LIKE_A_PATH.fullmatch(text[found.span.start : found.span.end]):
            continue
        whole = _whole(text, found.span)
        if whole != found.span:
            report.items = [
                item for item in report.items if not whole.start <= item.span.start <= item.span.end <= whole.end
            ]
            path = text[whole.start : whole.end]
            report.add("RT110", whole, what=f"'{path}'", mend=AS_TEXT + quoted(path.replace("\\", "/")))


def _whole(text: str, part: s.Span) -> s.Span:
    """The path that a part is of: with the words before it that are neither family nor method, and those behind."""
    begins = max(text.rfind(sign, 0, part.start) for sign in "\n|=(,[") + 1
    before = _BEFORE.search(text, begins, part.start)
    words = list(re.finditer(_PIECE, before[0])) if before else []
    own = words[_named(*(word[0] for word in words[:2])) :]
    start = before.start() + own[0].start() if before and own else part.start
    end, behind = part.end, _AFTER.match(text, part.end)
    for piece in re.finditer(_PIECE, behind[0] if behind else ""):
        if piece[0] in FAMILIES:
            break
        end = part.end + piece.end()
    return s.Span(start, end, part.file)


def _named(family: str = "", method: str = "", /) -> int:
    """How many of the first words of a stage are its name."""
    if family not in FAMILIES:
        return 0
    return 1 if family in _TAKES_A_PATH and method not in _KINDS else 2
