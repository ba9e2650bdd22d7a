"""Captions as people and editors write them, made alike once, before anything is compared with their words."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from retouch.lang.diagnostics import Report
from retouch.lang.encodings import marked, not_utf8
from retouch.lang.mistakes.foreign_prompts import Place, foreign
from retouch.lang.syntax import NOWHERE, Span
from retouch.paths import is_file, resolved
from retouch.pictures.refusals import may_read

MOST_BYTES = 64 * 1024  # of a caption's file
_QUOTES = str.maketrans(dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u02bc\u00b4", "'") | dict.fromkeys("“”„‟″", '"'))
_BLANK = re.compile(r"[\s\x00-\x1f\x7f-\x9f\ufeff\u200b]+")  # line breaks, tabs, and signs that nobody sees


def normal_caption(text: str) -> str:
    """Words with one blank between them, accents composed (NFC), quotation marks and apostrophes straight."""
    return _BLANK.sub(" ", unicodedata.normalize("NFC", text).translate(_QUOTES)).strip()


def check_words(text: str, span: Span, place: Place, report: Report, source: str | None = None) -> None:
    """Report weights and switches of other programs in a text of the recipe or of the command line."""
    if (found := foreign(text)) is not None:
        exact = source is None and span.end - span.start == len(text) + 2  # no escapes and no name before it
        at = Span(span.start + 1 + found.start, span.start + 1 + found.end, span.file) if exact else span
        report.add("RT314", at, source=source, what=found.what, mend=found.mend(place))


def caption_beside(picture: Path, report: Report, span: Span = NOWHERE) -> str | None:
    """What the text file beside a picture says that it shows: `cat.txt` beside `cat.png`; None for an empty one.

    A file that is no text is reported; a link that leads out of the picture's folder is not followed, which is told.
    """
    if not picture.name or not is_file(beside := picture.with_suffix(".txt")):  # the root has no name
        return None
    source = str(beside) if span == NOWHERE else None
    if not resolved(beside).is_relative_to(resolved(beside.parent)):
        report.add("RT419", span, source=source, path=beside.name)
        return None
    try:
        with beside.open("rb") as file:
            text = file.read(MOST_BYTES + 1)
            if len(text) > MOST_BYTES:
                raise ValueError(f"it is longer than {MOST_BYTES // 1024} KB")
            mark = marked(text)
            if mark is None and (wrong := not_utf8(text)):
                raise ValueError(f"it is not UTF-8: {wrong[0]}")
            # Editors of captions write marks of all kinds, and what is marked cannot be misread.
            encoding, length = mark or ("utf-8", 0)
            decoded = text[length:].decode(encoding)
            if "\0" in decoded:
                raise ValueError("it holds bytes that are no text")
            caption = normal_caption(decoded) or None
    except (OSError, ValueError) as err:
        what = getattr(err, "strerror", None) or str(err)
        if isinstance(err, UnicodeDecodeError):
            what = f"it is not {err.encoding.upper()}, as its mark says"
        mend = may_read(err) if isinstance(err, OSError) else "save what the picture shows in it, as UTF-8"
        report.add("RT418", span, source=source, path=beside.name, what=what, mend=mend)
        return None
    if found := foreign(caption or ""):
        report.add("RT422", span, source=source, path=beside.name, what=found.what, mend=found.mend("prompt"))
    return caption
