"""Where the files that ship with the engine are: in the installed package, or in the checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent


def folder(name: str) -> Path:
    """`grammar` or `recipes`: the checkout's own if this is one, else what the wheel carries."""
    checkout = _PACKAGE.parents[1] / name
    return checkout if _PACKAGE.parent.name == "engine" and checkout.is_dir() else _PACKAGE / name
