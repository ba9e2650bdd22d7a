"""Whether a picture file holds content credentials (C2PA), by where its format keeps them.  Nothing is validated."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from retouch.pictures.formats import of_beginning

_MOST = 100_000  # parts of a file that are looked at
_JUMBF = b"jumb"
_TIFF_TAG = 0xCD41


def holds_credentials(path: str | os.PathLike[str]) -> bool:
    """Whether there are any; of what cannot be read there are none."""
    try:
        if not Path(path).is_file():  # a pipe would be waited for
            return False
        with Path(path).open("rb") as file:
            return _held(file)
    except (OSError, ValueError):
        return False


def contains_credentials(data: bytes) -> bool:
    """The same of the bytes of a file."""
    return _held(io.BytesIO(data))


def _held(file: BinaryIO) -> bool:
    format = of_beginning(file.read(12))
    return format is not None and _LOOKED_FOR[format.key](file)


def _in_png(file: BinaryIO) -> bool:
    return any(kind == b"caBX" for kind, _ in _chunks(file, 8, "big", trailer=4))


def _in_webp(file: BinaryIO) -> bool:
    return any(kind == b"C2PA" for kind, _ in _chunks(file, 12, "little", trailer=0))


def _chunks(file: BinaryIO, at: int, order: str, trailer: int) -> Iterator[tuple[bytes, int]]:
    """Kind and size of the parts that follow each other."""
    for _ in range(_MOST):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            return
        kind, size = (head[4:], head[:4]) if order == "big" else (head[:4], head[4:])
        long = int.from_bytes(size, "big" if order == "big" else "little")
        yield kind, long
        at += 8 + long + trailer + (long % 2 if order == "little" else 0)


def _in_jpeg(file: BinaryIO) -> bool:
    """In a marker APP11, before the pixels."""
    at = 2
    for _ in range(_MOST):
        file.seek(at)
        head = file.read(4)
        if len(head) < 4 or head[0] != 0xFF or head[1] == 0xDA:
            return False
        if head[1] == 0xEB and _JUMBF in file.read(32):
            return True
        at += 2 + int.from_bytes(head[2:], "big")
    return False


def _in_tiff(file: BinaryIO) -> bool:
    """In a tag of the first directory."""
    file.seek(0)
    order = "little" if file.read(2) == b"II" else "big"
    file.seek(4)
    file.seek(int.from_bytes(file.read(4), order))
    count = int.from_bytes(file.read(2), order)
    tags = file.read(12 * count)
    return any(int.from_bytes(tags[at : at + 2], order) == _TIFF_TAG for at in range(0, len(tags), 12))


_LOOKED_FOR: Mapping[str, Callable[[BinaryIO], bool]] = {
    "PNG": _in_png,
    "JPEG": _in_jpeg,
    "WEBP": _in_webp,
    "TIFF": _in_tiff,
}
