"""Which name may have been meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def near(name: str, known: Iterable[str]) -> str:
    """Return a question about the likeliest name that was meant, or nothing."""
    found = difflib.get_close_matches(name, list(known), 1, cutoff=0.6)
    return f"did you mean '{found[0]}'?" if found else ""
