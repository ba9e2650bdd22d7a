"""Where shipped files are, what is at a place that a user named, and whether a file stayed as it was."""

from __future__ import annotations

import os
import stat
from functools import lru_cache
from os.path import abspath, realpath
from pathlib import Path
from time import time_ns

_PACKAGE = Path(__file__).parent
_COARSE = 2_000_000_000  # nanoseconds; no file system's clock ticks in longer steps
Marks = tuple[int, ...]


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


def at_home(text: str) -> Path:
    """A path as a recipe writes it, "~/" as shells read it: else it would be a folder of that name."""
    return Path(os.path.expanduser(text) if text.startswith("~/") else text)


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


def unchanged(path: Path) -> Marks | None:
    """What is another as soon as a file is: where it lies on the disk, its size, and when it was changed.

    None of what is no file, and of one that was changed a moment ago: a second change may leave all that as it is.
    """
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    changed = max(found.st_mtime_ns, found.st_ctime_ns)  # a time that was set back is younger by the second of these
    if not stat.S_ISREG(found.st_mode) or changed > time_ns() - _COARSE:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def content(path: Path) -> bytes:
    """The bytes of a small file, the same object while it stays as it was.  Raises OSError."""
    marks = unchanged(path)
    return path.read_bytes() if marks is None else _content(path, marks)


@lru_cache(maxsize=1024)
def _content(path: Path, marks: Marks) -> bytes:
    return path.read_bytes()
