"""What stands where a result is to go: nothing, retouch's own as it left it, or what somebody else has made of it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Literal

from retouch.pictures import albums, stamp
from retouch.pictures.journal import journal_of
from retouch.pictures.pixels import pixels_at

_digests: dict[tuple[str, int, int, int, int], str] = {}  # by place, size, times and node


@dataclass(frozen=True, slots=True)
class Standing:
    """own: as retouch left it.  edited: made by retouch, and changed since.  foreign: made by another.

    work: the digest of all that it was made of; empty where nobody knows.
    """

    kind: Literal["nothing", "own", "edited", "foreign"]
    work: str = ""


def standing(path: Path) -> Standing:
    """What stands there, by the journal of its folder, by what it says of itself and the pictures it lists."""
    try:
        if not path.is_file():
            return Standing("nothing")
    except (OSError, ValueError):  # a name that no file can have, as anyone may have written it into a journal
        return Standing("nothing")
    found = _by_itself(path)
    if found.kind != "own" or (pictures := albums.state(path)) == "whole":
        return found
    return Standing("own" if pictures == "incomplete" else "edited")


def _by_itself(path: Path) -> Standing:
    journal = journal_of(path.parent)
    if left := journal.saved_as(path.name, digest(path)):
        return Standing("own", left["work"])
    known = journal.saved(path.name)
    told = stamp.metadata(path)
    if told is None:
        return Standing("edited" if known else "foreign")
    work = told.get(stamp.WORK, "")
    if stamp.is_beside(path):  # which holds for these very bytes
        return Standing("own", work)
    if stamp.PIXELS in told:
        return Standing("own", work) if told[stamp.PIXELS] == pixels_at(path) else Standing("edited")
    return Standing("edited" if known else "own")  # it holds no digest: as well as can be told


def digest(path: Path) -> str:
    """The sha256 of a file's bytes, read once as long as nothing changes it; empty if it is gone."""
    try:
        with path.open("rb") as file:
            state = os.fstat(file.fileno())
            key = (str(path), state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino)
            if key not in _digests:
                _digests[key] = file_digest(file, "sha256").hexdigest()
            return _digests[key]
    except OSError:
        return ""
