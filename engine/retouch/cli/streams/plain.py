"""Texts of somebody else's, for a terminal, which would obey the control characters in them."""

from __future__ import annotations

import re

# Controls but tab and line feed, and signs that turn the direction of what follows.
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def plain(text: str) -> str:
    """The text with its control characters spelt out, as JSON spells them."""
    return CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def one_line(text: str) -> str:
    """The same as one line, for whoever reads answers line by line: names of files may hold line feeds."""
    return plain(text).replace("\n", "\\n")
