"""A picture file that stays a file: rows of it are decoded when they are wanted, as 8-bit sRGB."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from retouch.pictures import bands
from retouch.pictures.bands import png, tiff
from retouch.pictures.colour import to_srgb
from retouch.pictures.foreign import SMALLER
from retouch.pictures.opening import LARGEST, Changed, Unreadable, load_any_size, opened, orientation
from retouch.pictures.refusals import may_read

if TYPE_CHECKING:
    from PIL.Image import Image


class _Rows(Protocol):
    """What reads a format's rows, from the first to the last."""

    def whole(self) -> bool: ...

    def bands(self, top: int, bottom: int, rows: int) -> Iterator[tuple[int, Image]]: ...


@dataclass(frozen=True, slots=True, eq=False)
class FileInBands:
    """A picture whose pixels are read anew from its file each time.

    width, height: upright.  mode: RGB or RGBA.  notices: what was converted.  state: by which the file is known.
    """

    path: Path
    width: int
    height: int
    mode: str
    notices: tuple[str, ...]
    state: tuple[int, int, int]
    rows: _Rows

    def bands(self, top: int = 0, bottom: int | None = None) -> Iterator[tuple[int, Image]]:
        """Bands that hold the rows from `top` up to `bottom`, each with its first row.  Raises Unreadable."""
        for first, band in self._read(top, self.height if bottom is None else bottom):
            yield first, to_srgb(band)[0]

    def stored(self) -> Iterator[Image]:
        """All bands, in the colours that the file has.  Raises Unreadable."""
        for _, band in self._read(0, self.height):
            load_any_size(band)
            yield band

    def _read(self, top: int, bottom: int) -> Iterator[tuple[int, Image]]:
        if _state(self.path) != self.state:
            raise Changed(self.path)
        try:
            yield from self.rows.bands(top, bottom, max(1, bands.BAND // self.width))
        except MemoryError:
            raise Unreadable(self.path, "does not fit into memory", SMALLER) from None
        except Exception as why:  # decoders raise anything on damaged files
            if _state(self.path) != self.state:
                raise Changed(self.path) from None
            raise Unreadable(self.path, f"is damaged or cut off ({why})") from None
        if _state(self.path) != self.state:  # rows of both may have been read
            raise Changed(self.path)


def in_bands(path: str | os.PathLike[str], least: int) -> FileInBands | None:
    """A picture of at least so many pixels whose file may be read in bands; None where it has to be decoded whole.

    Raises Unreadable, also where the file ends too early.
    """
    with opened(path, LARGEST) as header:
        if header.width * header.height < least or orientation(header) != 1:
            return None
        reader = {"PNG": png.rows_of, "TIFF": tiff.rows_of}.get(str(header.format))
        rows = reader(Path(path), header) if reader else None
        if rows is None:
            return None
        if not rows.whole():
            raise png.CutOff("image file is truncated")
        _, band = next(rows.bands(0, 1, 1))
        made, notices = to_srgb(band)
        return FileInBands(Path(path), *header.size, made.mode, tuple(notices), _state(Path(path)), rows)


def _state(path: Path) -> tuple[int, int, int]:
    """Size, time and place on the disk; Unreadable where it is gone."""
    try:
        found = path.stat()
    except OSError as why:
        raise Unreadable(path, f"cannot be opened: {why.strerror}", may_read(why)) from None
    return found.st_size, found.st_mtime_ns, found.st_ino
