"""Where words stand in a text: the one rule for edits, for options that name words, and for tokens."""

from __future__ import annotations

import re


def places(words: str, text: str) -> list[tuple[int, int]]:
    """Return where the words stand as whole words, in any case; scripts without spaces have no edges to look for."""
    before = r"(?<!\w)" if words[:1] and _has_edges(words[0]) else ""
    after = r"(?!\w)" if words[-1:] and _has_edges(words[-1]) else ""
    if not words.strip():
        return []
    return [found.span() for found in re.finditer(before + re.escape(words) + after, text, re.IGNORECASE)]


def _has_edges(char: str) -> bool:
    return char.isalnum() and ord(char) < 0x0E00
