"""What a diagnostic code means, as a page of text."""

from __future__ import annotations

import re
from textwrap import fill, indent

from retouch.lang.codes import CODES

WIDTH = 100


def explain(code: str) -> str:
    """The page of a code such as RT205: what it says, why it is so, an example and its mend."""
    code = code.upper()
    if code not in CODES:
        raise ValueError(f"there is no code '{code}'; codes run from {min(CODES)} to {max(CODES)}")
    row = CODES[code]
    parts = [
        f"{row.severity}[{code}] {row.name}",
        open_facts(row.message),
        fill(row.why, WIDTH),
        headed("help", open_facts(row.help)),
        headed("wrong", row.example),
        headed("right", row.mend),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def open_facts(template: str) -> str:
    """A template with '…' for what is known only when it is reported; nothing if that is all of it."""
    text = re.sub(r"\{[^{}]*\}", "…", template.replace("{{{", "{").replace("}}}", "}"))
    return "" if text == "…" else text


def headed(title: str, body: str) -> str:
    """A block of the page under its title, if there is anything to show."""
    return f"{title}:\n{indent(body, '  ')}" if body else ""
