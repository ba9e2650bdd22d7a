"""A quick fingerprint of weights files, for telling models apart without reading gigabytes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from retouch.paths import Marks, unchanged

_BLOCK = 4096  # bytes: a page of the disk, below which reading costs no less
_WHOLE = 2**24  # bytes up to which a file is read whole
_OF_MODELS = (".safetensors", ".json", ".txt")


def fingerprint(paths: Iterable[Path]) -> str:
    """Digest of files: whole where they are small; of larger ones the sizes, headers, and both ends of every tensor.

    Weights that were trained further have other numbers everywhere in each tensor that was; one alone may have been.
    """
    paths = tuple(paths)
    marks = tuple(found for path in paths if (found := unchanged(path)))
    return _known(paths, marks) if len(marks) == len(paths) else _read(paths)


@lru_cache(maxsize=64)  # a script, a benchmark and a worker ask for the same models again and again
def _known(paths: tuple[Path, ...], marks: tuple[Marks, ...]) -> str:
    return _read(paths)


def _read(paths: Iterable[Path]) -> str:
    digest = sha256()
    for path in paths:
        size = path.stat().st_size
        digest.update(size.to_bytes(8, "little"))
        with path.open("rb") as file:
            for begin, end in [(0, size)] if size <= _WHOLE else _ends(file, size):
                file.seek(begin)
                digest.update(file.read(end - begin))
    return digest.hexdigest()[:32]


def _ends(file: BinaryIO, size: int) -> Iterator[tuple[int, int]]:
    """Where a large file is read: its header and both ends of each tensor, or blocks everywhere if it has no header."""
    header = 8 + int.from_bytes(file.read(8), "little")
    try:
        told = json.loads(file.read(header - 8)) if header <= min(size, 2**27) else {}
        places = sorted(each["data_offsets"] for name, each in told.items() if name != "__metadata__")
    except (ValueError, TypeError, KeyError, AttributeError):
        places = []
    if not places:  # nothing that a model could be made of
        yield from ((begin, begin + _BLOCK) for begin in range(0, size, max(size // 64, 1)))
        return
    yield 0, header
    for begin, end in places:
        yield header + begin, header + min(begin + _BLOCK, end)
        yield header + max(end - _BLOCK, begin), header + end


def fingerprint_at(place: Path) -> str:
    """Digest of a weights file, or of the weights, configs and vocabularies that lie in a folder."""
    if place.is_file():
        return fingerprint([place])
    return fingerprint(path for path in sorted(place.rglob("*")) if path.suffix in _OF_MODELS and path.is_file())
