"""What a diagnostic code means, as a page of text."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from textwrap import fill, indent

from retouch.lang.codes import CODES

WIDTH = 100
SHOWN = Path(__file__).with_name("codes") / "shown.txt"  # written by tests/lang/test_lang_shown.py


def explain(code: str) -> str:
    """Return the page of a code such as RT205: why it is so, an example, what is said about it, and its mend."""
    code = code.upper()
    if code not in CODES:
        raise ValueError(f"there is no code '{code}'; codes run from {min(CODES)} to {max(CODES)}")
    row = CODES[code]
    parts = [
        f"{row.severity}[{code}] {row.name}",
        fill(row.why, WIDTH),
        headed("wrong", row.example),
        headed("says", shown().get(code, "")),
        headed("right", row.mend),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


@cache
def shown() -> dict[str, str]:
    """Return the message of each code: that of its example, or of a usual case where no recipe alone can show it."""
    blocks = re.split(r"\n\n(?=\w+\[RT)", SHOWN.read_text("utf-8").strip())
    return {block[block.index("[") + 1 : block.index("]")]: block for block in blocks}


def headed(title: str, body: str) -> str:
    """Return a block of the page under its title, or nothing if it is empty."""
    return f"{title}:\n{indent(body, '  ', lambda line: True)}" if body else ""
