"""Where the files that ship with the engine are, and whether there is something at a place that a user named."""

from __future__ import annotations

from os.path import abspath, realpath
from pathlib import Path

_PACKAGE = Path(__file__).parent


def folder(name: str) -> Path:
    """`grammar` or `recipes`: the checkout's own if this is one, else what the wheel carries."""
    checkout = _PACKAGE.parents[1] / name
    return checkout if _PACKAGE.parent.name == "engine" and checkout.is_dir() else _PACKAGE / name


def resolved(path: Path) -> Path:
    """The whole path, with links followed as far as they lead: those that go in circles lead nowhere, as names without
    a file do."""
    try:
        return Path(realpath(path))
    except ValueError:  # a character of the name is zero
        return Path(abspath(path))


def is_there(path: Path) -> bool:
    """Whether something is at a place; nothing is where the system cannot even look, such as a name of 300 letters."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def is_link(path: Path) -> bool:
    """Whether that is a link, wherever it leads."""
    try:
        return path.is_symlink()
    except (OSError, ValueError):
        return False


def is_file(path: Path) -> bool:
    """Whether that is a file."""
    return is_there(path) and path.is_file()


def is_folder(path: Path) -> bool:
    """Whether that is a folder."""
    return is_there(path) and path.is_dir()
