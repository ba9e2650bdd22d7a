"""Replace a file in one step: whoever looks sees the old one or the new one, whole."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_unfinished: set[Path] = set()


def remove_unfinished() -> None:
    """Remove what is being written, where the process ends without coming back to it."""
    for part in [*_unfinished]:
        shutil.rmtree(part, ignore_errors=True) if part.is_dir() else part.unlink(missing_ok=True)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file beside `path` that takes its place at the end, or vanishes if anything is raised."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name[:64]}.{secrets.token_hex(4)}.part")
    _unfinished.add(part)
    try:
        with part.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:  # Ctrl-C too
        part.unlink(missing_ok=True)
        raise
    finally:
        _unfinished.discard(part)


@contextmanager
def unfinished_folder(path: Path) -> Iterator[Path]:
    """A folder beside `path` to fill, for the caller to give a name; it vanishes if it is still there at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name[:64]}.{secrets.token_hex(4)}.part")
    _unfinished.add(part)
    try:
        part.mkdir()
        yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)
        _unfinished.discard(part)
