"""Which name may have been meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def near_file(name: str, there: Iterable[str]) -> str:
    """Return a question about the likeliest file that was meant, or nothing; what all names end in says little."""
    stem, dot, ending = name.rpartition(".")
    names = list(there)
    alike = [each.removesuffix(dot + ending) for each in names if stem and each.endswith(dot + ending)]
    if found := difflib.get_close_matches(stem, alike, 1, cutoff=0.6):
        return f"did you mean '{found[0]}{dot}{ending}'?"
    return near(name, [each for each in names if not (stem and each.endswith(dot + ending))])


def near(name: str, known: Iterable[str]) -> str:
    """Return a question about the likeliest name that was meant, or nothing."""
    found = difflib.get_close_matches(name, list(known), 1, cutoff=0.6)
    return f"did you mean '{found[0]}'?" if found else ""
