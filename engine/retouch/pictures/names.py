"""How long a file's name may be, and its beginning, for what is written beside it."""

from __future__ import annotations

import os

LONGEST_NAME = 255  # bytes, of the usual file systems


def begun(name: str, most: int = 64) -> str:
    """The beginning of a name, of at most so many bytes and of whole characters."""
    return os.fsencode(name)[:most].decode(errors="ignore")
