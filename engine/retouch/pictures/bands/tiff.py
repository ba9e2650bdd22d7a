"""A TIFF, some rows after the other: each strip or row of tiles is decoded as a small TIFF of its own.

Adobe 1992, "TIFF Revision 6.0", sections 3 and 15.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retouch.pictures import bands
from retouch.pictures.bands.png import CutOff
from retouch.pictures.opening import load_any_size, open_any_size

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.TiffImagePlugin import TiffImageFile

_WIDTH, _HEIGHT, _BITS, _COMPRESSION = 256, 257, 258, 259
_OFFSETS, _SAMPLES, _ROWS, _COUNTS, _PLANES = 273, 277, 278, 279, 284
_TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_COUNTS = 322, 323, 324, 325
_PLAIN = 1  # of compression and of planes
# How a piece is to be decoded: photometry, fill order, fax, predictor, palette, ink, alpha, format, JPEG, YCbCr.
_KEPT = (_BITS, _COMPRESSION, 262, 266, _SAMPLES, _PLANES, 292, 293, 317, 320, 332, 338, 339, 347, 529, 530, 531, 532)
_PROFILE = 34675
_LARGEST = 16_000_000  # pixels of a piece


@dataclass(frozen=True, slots=True)
class _Piece:
    """A strip or a tile: where it lies in the picture, and its bytes in the file."""

    left: int
    top: int
    width: int
    height: int
    start: int
    length: int


class TiffRows:
    """The rows of a TIFF whose pixels lie together."""

    def __init__(self, path: Path, header: TiffImageFile, pieces: list[_Piece]) -> None:
        self.path, self.header, self.pieces = path, header, pieces
        self.tags: Any = header.tag_v2

    def whole(self) -> bool:
        """Whether all pieces lie in the file.  Raises what a decoder raises on damaged ones."""
        size = self.path.stat().st_size
        if any(piece.start + piece.length > size for piece in self.pieces):
            return False
        if self.tags.get(_COMPRESSION, _PLAIN) != _PLAIN:  # before a model works on it, and not when it is saved
            for _, band in self.bands(0, self.header.height, 1):
                load_any_size(band)
        return True

    def bands(self, top: int, bottom: int, rows: int) -> Iterator[tuple[int, Image]]:
        """Bands of the picture that hold its rows from `top` up to `bottom`, each with its first row."""
        from PIL import Image

        wide, tall = self.header.size
        with self.path.open("rb") as file:
            beside: list[_Piece] = []
            for i, piece in enumerate(self.pieces):
                beside.append(piece)
                # Tiles that stand side by side are one band.
                if i + 1 < len(self.pieces) and self.pieces[i + 1].top == piece.top:
                    continue
                height = min(piece.height, tall - piece.top)
                if piece.top < bottom and piece.top + height > top:
                    parts = list[tuple[Any, tuple[int, int]]]()
                    for each in beside:
                        file.seek(each.start)
                        parts.append((self._decoded(each, file.read(each.length)), (each.left, 0)))
                    made = parts[0][0]
                    if made.size != (wide, height):
                        made = Image.new(made.mode, (wide, height))
                        if made.mode == "P":
                            made.putpalette(parts[0][0].palette)
                        for part, place in parts:
                            made.paste(part, place)
                        made.info = parts[0][0].info
                    yield piece.top, made
                beside.clear()

    def _decoded(self, piece: _Piece, data: bytes) -> Image:
        """A piece as a TIFF of its own."""
        from PIL.TiffImagePlugin import ImageFileDirectory_v2

        if len(data) < piece.length:
            raise CutOff("image file is truncated")
        order = b"MM\0*\0\0\0\x08" if self.tags.prefix == b"MM" else b"II*\0\x08\0\0\0"
        tags = ImageFileDirectory_v2(ifh=order)
        for tag in (*_KEPT, _PROFILE):
            if tag in self.tags:
                tags.tagtype[tag] = self.tags.tagtype[tag]
                tags[tag] = self.tags[tag]
        tags[_WIDTH], tags[_HEIGHT], tags[_ROWS] = piece.width, piece.height, piece.height
        tags.tagtype[_OFFSETS] = tags.tagtype[_COUNTS] = 4
        tags[_OFFSETS], tags[_COUNTS] = 0, len(data)  # Pillow counts from where its tags end
        return open_any_size(io.BytesIO(order + tags.tobytes(len(order)) + data), ("TIFF",))


def rows_of(path: Path, header: TiffImageFile) -> TiffRows | None:
    """The rows of an opened TIFF; None where it has to be decoded whole."""
    tags: Any = header.tag_v2
    turned = tags.get(274, 1) not in (0, 1)
    separate = tags.get(_PLANES, _PLAIN) != _PLAIN and tags.get(_SAMPLES, 1) > 1
    old_jpeg = tags.get(_COMPRESSION) == 6
    if turned or separate or old_jpeg or getattr(header, "is_animated", False):
        return None
    pieces = _tiles(tags, header) if _TILES in tags else _strips(tags, header)
    if not pieces or max(piece.width * piece.height for piece in pieces) > _LARGEST:
        return None
    return TiffRows(path, header, pieces)


def _strips(tags: Any, header: TiffImageFile) -> list[_Piece]:
    wide, tall = header.size
    starts, lengths = tags.get(_OFFSETS, ()), tags.get(_COUNTS, ())
    rows = min(tags.get(_ROWS, tall), tall)
    if tags.get(_COMPRESSION, _PLAIN) == _PLAIN and len(starts) == 1 and rows == tall:  # as many as one likes
        bits = (
            sum(tags.get(_BITS, (1,)))
            if len(tags.get(_BITS, (1,))) > 1
            else tags.get(_BITS, (1,))[0] * tags.get(_SAMPLES, 1)
        )
        row = (wide * bits + 7) // 8
        rows = max(1, bands.BAND // wide)
        starts = tuple(starts[0] + top * row for top in range(0, tall, rows))
        lengths = tuple(min(rows, tall - top) * row for top in range(0, tall, rows))
    if len(starts) != len(lengths) or len(starts) != -(-tall // rows):
        return []
    return [
        _Piece(0, i * rows, wide, min(rows, tall - i * rows), start, length)
        for i, (start, length) in enumerate(zip(starts, lengths, strict=True))
    ]


def _tiles(tags: Any, header: TiffImageFile) -> list[_Piece]:
    wide, tall = header.size
    width, height = tags.get(_TILE_WIDTH, 0), tags.get(_TILE_HEIGHT, 0)
    starts, lengths = tags.get(_TILES, ()), tags.get(_TILE_COUNTS, ())
    if not width or not height or len(starts) != len(lengths) or len(starts) != -(-wide // width) * -(-tall // height):
        return []
    across = -(-wide // width)
    return [
        _Piece(i % across * width, i // across * height, width, height, start, length)
        for i, (start, length) in enumerate(zip(starts, lengths, strict=True))
    ]
