"""What Retouch writes into a picture about how it was made: an iTXt chunk in PNG, else an EXIF description."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retouch.pictures.opening import MAX_PIXELS, Unreadable, opened

if TYPE_CHECKING:
    from PIL.Image import Exif
    from PIL.PngImagePlugin import PngInfo

KEY = "retouch"
TABLE_MARK = "# retouch"  # the first words of a table
_LIMIT = 256 * 1024
_LIMIT_JPEG = 60 * 1024  # all of JPEG's EXIF must fit into 64 KB
_DESCRIPTION = 0x010E  # the EXIF tag


def fit(metadata: Mapping[str, str], format: str) -> tuple[str, list[str]]:
    """The metadata as JSON; entries too long for the format are left out, longest first, with a notice each."""
    limit = _LIMIT_JPEG if format == "JPEG" else _LIMIT
    kept, notices = dict(metadata), []
    while len(text := json.dumps(kept)) > limit:
        longest = max(kept, key=lambda name: len(json.dumps(kept[name])) + len(json.dumps(name)))
        notices.append(f"'{longest[:40]}' was not stored in the picture: it is over {limit // 1024} KB")
        del kept[longest]
    return text, notices


def png_chunk(text: str) -> PngInfo:
    """For Pillow's `pnginfo=`."""
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_itxt(KEY, text)
    return info


def exif(text: str) -> Exif:
    """For Pillow's `exif=`."""
    from PIL.Image import Exif

    tags = Exif()
    tags[_DESCRIPTION] = f"{KEY} {text}"
    return tags


def metadata(path: str | os.PathLike[str]) -> dict[str, str] | None:
    """What Retouch wrote into a picture; None if it did not, or the picture cannot be read."""
    text = _written(path)
    return _parsed(text) if text is not None and len(text) <= _LIMIT else None


def damaged(path: str | os.PathLike[str]) -> bool:
    """Whether something stands where Retouch writes, and is not of its form."""
    return _written(path) is not None and metadata(path) is None


def _written(path: str | os.PathLike[str]) -> str | None:
    try:
        with opened(path, MAX_PIXELS) as image:
            text = image.info.get(KEY) if image.format == "PNG" else _described(image.getexif().get(_DESCRIPTION))
    except Unreadable:
        return None
    return text if isinstance(text, str) else None


def made_by_retouch(path: str | os.PathLike[str]) -> bool:
    """Whether a file is one of ours, and may be made again."""
    match Path(path).suffix.lower():
        case ".csv":
            with open(path, "rb") as file:
                return file.read(len(TABLE_MARK)) == TABLE_MARK.encode()
        case ".safetensors":
            return KEY in _header(path).get("__metadata__", {})
        case _:
            return metadata(path) is not None


def _header(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The JSON that a safetensors file begins with; empty if it has none."""
    try:
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            return dict(json.loads(file.read(min(length, _LIMIT))))
    except (OSError, ValueError, TypeError):
        return {}


def _described(description: object) -> str | None:
    text = str(description)
    return text.removeprefix(f"{KEY} ") if text.startswith(f"{KEY} ") else None


def _parsed(text: str) -> dict[str, str] | None:
    """Anyone can write this text: it is believed only if it is a flat object of strings."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    flat = isinstance(found, dict) and all(isinstance(value, str) for value in found.values())
    return found if flat else None
