"""The picture formats: what their files end in, and what each can hold.  This table is the only list of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Format:
    """One format of picture files.

    beginnings: what its files begin with, one of them.
    quality: what it is written with by default, 1 to 100; None where nothing is lost.
    options: those of `save` that this format has, and others have not.
    """

    name: str  # as people write it
    endings: tuple[str, ...]
    beginnings: tuple[bytes, ...]
    written: bool = True
    alpha: bool = True
    quality: int | None = None
    options: frozenset[str] = frozenset()
    pillow: Mapping[str, Any] = field(default_factory=dict[str, Any])  # always, for Pillow's `save`
    most_metadata: int = 256 * 1024  # bytes of the recipe inside

    @property
    def key(self) -> str:
        """What Pillow calls it."""
        return self.name.upper()

    @property
    def media_type(self) -> str:
        """What the web calls it, such as image/jpeg."""
        return f"image/{self.name.lower()}"

    def parameters(self, quality: int | None) -> dict[str, Any]:
        """Pillow's parameters.  A format that can do without loss does, unless a quality is asked for."""
        if (used := quality or self.quality) is not None:
            return {**self.pillow, "quality": used}
        return {**self.pillow, **({"lossless": True} if "quality" in self.options else {})}


FORMATS = (
    Format("PNG", (".png",), (b"\x89PNG\r\n\x1a\n",)),
    Format(
        "JPEG",
        (".jpg", ".jpeg"),
        (b"\xff\xd8",),
        alpha=False,
        quality=95,
        options=frozenset({"quality"}),
        pillow={"subsampling": 0},
        most_metadata=60 * 1024,  # all of JPEG's EXIF must fit into 64 KB
    ),
    # exact: colours under full transparency stay
    Format("WebP", (".webp",), (b"RIFF",), options=frozenset({"quality"}), pillow={"exact": True}),
    Format("TIFF", (".tif", ".tiff"), (b"II*\0", b"MM\0*"), pillow={"compression": "tiff_deflate"}),
    Format("BMP", (".bmp",), (b"BM",), written=False),
)
READ = tuple(format.key for format in FORMATS)  # for Pillow's `open`


def of_file(path: str | os.PathLike[str]) -> Format | None:
    """The format that a file of this ending is written in; None if pictures are not."""
    ending = Path(path).suffix.lower()
    return next((format for format in FORMATS if format.written and ending in format.endings), None)


def of_beginning(data: bytes) -> Format | None:
    """The format of a file that begins so; None if pictures are not written in it."""
    return next((format for format in FORMATS if format.written and data.startswith(format.beginnings)), None)


def media_type_of(data: bytes) -> str | None:
    """The media type of a picture, such as image/jpeg, by the first 12 bytes of its file; None if it is no picture."""
    format = of_beginning(data)
    return format and format.media_type


def media_types() -> dict[str, str]:
    """The media type of each ending, such as .jpg, in which pictures are written."""
    return {ending: format.media_type for format in FORMATS if format.written for ending in format.endings}


def of_key(key: str | None) -> Format | None:
    """The format by Pillow's name for it."""
    return next((format for format in FORMATS if format.key == key), None)


def endings(words: Iterable[str]) -> tuple[str, ...]:
    """The endings that the words of an `Ending` stand for."""
    found: list[str] = []
    for word in words:
        if word.startswith("."):
            found.append(word)
            continue
        option = word.partition(":")[2]  # "picture:quality" is of the formats that have the option
        for format in FORMATS:
            if format.written and (not option or option in format.options):
                found += format.endings
    return tuple(found)


def listed(found: Iterable[str]) -> str:
    """Endings in words, each format by its first: ".png, .jpg or .webp"."""
    others = {ending for format in FORMATS for ending in format.endings[1:]}
    *most, last = [ending for ending in found if ending not in others]
    return f"{', '.join(most)} or {last}" if most else last


def readable() -> str:
    """The formats that are read, in words."""
    *most, last = [format.name for format in FORMATS]
    return f"{', '.join(most)} or {last}"
