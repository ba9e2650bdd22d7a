"""Folders of pictures beside the file that lists them, each named by what is in it, so that a change to one shows."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Literal


def named_by(file: Path, folder: Path, names: Iterable[str]) -> Path:
    """Where the folder of a file's pictures goes, by the names and the bytes of these."""
    found = sha256()
    for name in sorted(names):  # in whatever order they are listed
        found.update(f"{name}\n".encode() + (folder / name).read_bytes())
    return file.with_name(f"{file.stem}-{found.hexdigest()[:12]}")


def listed(file: Path) -> dict[str, Sequence[str]]:
    """The pictures that a file lists in such folders, by the folder's name; most list none."""
    if file.suffix.lower() != ".json":
        return {}
    text = file.read_text("utf-8", "replace")
    found: dict[str, dict[str, None]] = {}
    for folder, name in re.findall(rf'({re.escape(file.stem)}-[0-9a-f]{{12}})/([^"/\\]+)', text):
        found.setdefault(folder, {})[name] = None
    return {folder: [*names] for folder, names in found.items()}


def state(file: Path) -> Literal["whole", "incomplete", "changed"]:
    """What has become of the pictures that a file lists.  Where some are gone, nobody can tell of the others."""
    try:
        for folder, names in listed(file).items():
            place = file.with_name(folder)
            if not all((place / name).is_file() for name in names):
                return "incomplete"
            if named_by(file, place, names).name != folder:
                return "changed"
    except (OSError, ValueError):  # ValueError: a name that no file can have
        return "incomplete"
    return "whole"


def put(part: Path, folder: Path) -> None:
    """Give a folder its place, or its pictures theirs in one that is there: what else lies in that stays."""
    try:
        part.replace(folder)
    except OSError:
        if not folder.is_dir():
            raise
        for name in os.listdir(part):
            (part / name).replace(folder / name)
