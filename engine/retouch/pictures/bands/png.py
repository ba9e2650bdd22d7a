"""A PNG, some rows after the other: inflated as it comes, and unfiltered by Pillow, which does that fast.

W3C, "Portable Network Graphics (PNG) Specification", sections 7.3, 9 and 10.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

from retouch.pictures.opening import open_any_size

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.PngImagePlugin import PngImageFile

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
_OF_BYTES = {1: 0, 2: 4, 3: 2, 4: 6}  # the colour type of 8 bits whose pixels have so many bytes
_PIECE = 1 << 20  # bytes


class CutOff(ValueError):
    """A file that ends before its picture does, or holds something else there."""


def chunks(file: IO[bytes]) -> Iterator[tuple[bytes, int]]:
    """Kind and length of each chunk of an open PNG, which stands at its data then."""
    file.seek(len(SIGNATURE))
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        start = file.tell()
        yield kind, length
        file.seek(start + length + 4)


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk as a file has it."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def inflated(path: Path) -> Iterator[bytes]:
    """What the picture is compressed from, in pieces: of each row its filter and its bytes.  Raises CutOff."""
    stream = zlib.decompressobj()
    with path.open("rb") as file:
        for kind, length in chunks(file):
            if kind != b"IDAT":
                continue
            left = length
            while left:
                rest = file.read(min(left, _PIECE))
                if not rest:
                    raise CutOff("image file is truncated")
                left -= len(rest)
                try:
                    # A piece at most at once, since few bytes of a file may stand for any number.
                    while rest:
                        yield stream.decompress(rest, _PIECE)
                        rest = stream.unconsumed_tail
                except zlib.error as why:
                    raise CutOff(str(why)) from None
                if stream.eof:
                    return


class PngRows:
    """The rows of a PNG that is not interlaced, as its header describes them.

    bits, colour: of its header.  header: Pillow's picture, opened and not decoded.
    """

    def __init__(self, path: Path, header: PngImageFile) -> None:
        with path.open("rb") as file:
            _, height, self.bits, self.colour = struct.unpack(">IIBB", file.read(26)[16:])
        pixel = CHANNELS[self.colour] * self.bits
        self.path, self.header, self.height = path, header, height
        self.row = (header.width * pixel + 7) // 8  # bytes, without the filter
        self.pixel = max(1, pixel // 8)  # bytes
        self.raw = str(header.tile[0].args)

    def whole(self) -> bool:
        """Whether the file holds all rows.  Raises CutOff where it cannot be inflated."""
        have, wanted = 0, self.height * (self.row + 1)
        for piece in inflated(self.path):  # to the end, where a checksum is
            have += len(piece)
            if have > wanted:  # what stands behind the picture may be without end
                break
        return have >= wanted

    def bands(self, top: int, bottom: int, rows: int) -> Iterator[tuple[int, Image]]:
        """Bands of the picture that hold its rows from `top` up to `bottom`, each with its first row."""
        waiting, before, first = bytearray(), bytes(self.row), 0
        for piece in inflated(self.path):
            waiting += piece
            while first < bottom and len(waiting) >= (count := min(rows, self.height - first)) * (self.row + 1):
                end = count * (self.row + 1)
                raw = self._unfiltered(bytes(waiting[:end]), before, count)
                del waiting[:end]
                before = raw[-self.row :]
                if first + count > top:
                    yield first, self._picture(raw, count)
                first += count
            if first >= bottom:
                return
        raise CutOff("image file is truncated")

    def _unfiltered(self, rows: bytes, before: bytes, count: int) -> bytes:
        """The bytes of rows whose filters may look at the row before: a small PNG that begins with that, decoded."""
        size = struct.pack(">II", self.row // self.pixel, count + 1)
        head = chunk(b"IHDR", size + bytes((8, _OF_BYTES[self.pixel], 0, 0, 0)))
        data = zlib.compress(b"\0" + before + rows, 0)
        small = SIGNATURE + head + chunk(b"IDAT", data) + chunk(b"IEND", b"")
        with open_any_size(io.BytesIO(small), ("PNG",)) as image:
            return image.tobytes()[self.row :]

    def _picture(self, raw: bytes, count: int) -> Image:
        from PIL import Image

        made = Image.frombytes(self.header.mode, (self.header.width, count), raw, "raw", self.raw)
        if self.header.palette:
            made.putpalette(self.header.palette)
        made.info = self.header.info
        return made


def rows_of(path: Path, header: PngImageFile) -> PngRows | None:
    """The rows of an opened PNG; None where it has to be decoded whole."""
    info = header.info
    if info.get("interlace") or getattr(header, "is_animated", False) or len(header.tile) != 1:
        return None
    found = PngRows(path, header)
    return found if found.pixel in _OF_BYTES else None  # of 16 bits a channel, grey ones alone
