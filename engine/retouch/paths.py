"""Where the files that ship with the engine are, and whether there is something at a place that a user named."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent


def folder(name: str) -> Path:
    """`grammar` or `recipes`: the checkout's own if this is one, else what the wheel carries."""
    checkout = _PACKAGE.parents[1] / name
    return checkout if _PACKAGE.parent.name == "engine" and checkout.is_dir() else _PACKAGE / name


def is_there(path: Path) -> bool:
    """Whether something is at a place; nothing is where the system cannot even look, such as a name of 300 letters."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def is_file(path: Path) -> bool:
    """Whether that is a file."""
    return is_there(path) and path.is_file()


def is_folder(path: Path) -> bool:
    """Whether that is a folder."""
    return is_there(path) and path.is_dir()
