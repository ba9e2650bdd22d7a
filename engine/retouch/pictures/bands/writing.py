"""Write a picture some rows at a time: Pillow makes the head of the file and codes each band, and here they are joined.

What the head says of the pixels, their digest, is known at the end, so the head is written again then; it is as long.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from retouch.pictures import bands
from retouch.pictures.bands.digest import PixelDigest
from retouch.pictures.bands.png import SIGNATURE, chunk, chunks
from retouch.pictures.opening import open_any_size

if TYPE_CHECKING:
    from PIL.Image import Image

_LARGEST_JPEG = 65_500  # pixels of a side
_CODED = 8 * 8  # rows of a JPEG after which the numbers of its restart markers begin again: eight rows of blocks
_RESTART = b"\xff\xd7"  # the last of those eight markers
_HEIGHT, _COMPRESSION, _OFFSETS, _ROWS, _COUNTS = 257, 259, 273, 278, 279  # tags of TIFF
_DEFLATE, _SHORT, _LONG = 8, 3, 4  # a compression of TIFF, and types of numbers

Said = Mapping[str, Any]


class Bands(Protocol):
    """A picture of 8 bits that is made some rows at a time."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        ...

    @property
    def mode(self) -> str:
        """RGB or RGBA."""
        ...

    def bands(self, rows: int) -> Iterator[Image]:
        """The picture from the top, so many rows at a time; the last ones may be fewer."""
        ...


def is_banded(key: str, size: tuple[int, int]) -> bool:
    """Whether the format that Pillow calls so is written in bands; of others its encoder takes all of a picture."""
    return key in _CODERS and not (key == "JPEG" and max(size) > _LARGEST_JPEG)


def write_bands(
    file: BinaryIO, key: str, picture: Bands, said: Callable[[str], Said], digest: PixelDigest | None
) -> None:
    """Write a picture into an empty file, in a format of which `is_banded` says so.

    said: Pillow's parameters, from the digest of the pixels.  digest: takes them as whoever opens the file sees them.
    """
    before = said("0" * 64)
    coder = _CODERS[key](picture, before)
    rows = max(coder.unit, bands.BAND // picture.size[0] // coder.unit * coder.unit)
    file.write(coder.head(before))
    for band in picture.bands(rows):
        file.write(coder.coded(band))
        if digest:
            digest.update(coder.seen(band))
    file.write(coder.tail(file.tell()))
    end = file.tell()
    file.seek(0)
    file.write(coder.head(said(digest.hexdigest()) if digest else before))
    file.seek(end)


class _Png:
    """Rows are filtered by Pillow, which is given the row before, and deflated in one stream."""

    unit = 1

    def __init__(self, picture: Bands, said: Said) -> None:
        self.picture, self.before = picture, None
        self.stream = zlib.compressobj(strategy=zlib.Z_FILTERED)

    def head(self, said: Said) -> bytes:
        file = io.BytesIO(_saved(_blank(self.picture), "PNG", said))
        made = bytearray(SIGNATURE)
        for kind, length in chunks(file):
            data = file.read(length)
            if kind == b"IHDR":
                data = struct.pack(">II", *self.picture.size) + data[8:]
            if kind not in (b"IDAT", b"IEND"):
                made += chunk(kind, data)
        return bytes(made)

    def coded(self, band: Image) -> bytes:
        known, self.before = self.before, band.crop((0, band.height - 1, band.width, band.height))
        if known:
            both = _blank(self.picture, band.height + 1)
            both.paste(known)
            both.paste(band, (0, 1))
            band = both
        file = io.BytesIO(_saved(band, "PNG", {"compress_level": 0}))
        rows = zlib.decompress(b"".join(file.read(length) for kind, length in chunks(file) if kind == b"IDAT"))
        start = 1 + band.width * len(band.getbands()) if known else 0
        data = self.stream.compress(memoryview(rows)[start:])
        return chunk(b"IDAT", data) if data else b""

    def seen(self, band: Image) -> Image:
        return band

    def tail(self, place: int) -> bytes:
        return chunk(b"IDAT", self.stream.flush()) + chunk(b"IEND", b"")


class _Jpeg:
    """Each row of blocks begins anew, by a restart marker, so that bands are coded apart and joined."""

    unit = _CODED

    def __init__(self, picture: Bands, said: Said) -> None:
        self.picture = picture
        self.how = {name: said[name] for name in ("quality", "subsampling")} | {"restart_marker_rows": 1}
        self.last = b""

    def head(self, said: Said) -> bytes:
        made = bytearray(_saved(_blank(self.picture, 8), "JPEG", {**said, **self.how}))
        frame, scan = _segments(made)
        made[frame + 5 : frame + 7] = struct.pack(">H", self.picture.size[1])
        return bytes(made[:scan])

    def coded(self, band: Image) -> bytes:
        before = _RESTART if self.last else b""
        self.last = _saved(band, "JPEG", self.how)
        return before + self.last[_segments(self.last)[1] : -2]

    def seen(self, band: Image) -> Image:
        return open_any_size(io.BytesIO(self.last), ("JPEG",))

    def tail(self, place: int) -> bytes:
        return b"\xff\xd9"


class _Tiff:
    """Each band is a strip; where they lie stands behind them."""

    unit = 1

    def __init__(self, picture: Bands, said: Said) -> None:
        self.picture, self.strips, self.rows = picture, list[int](), 1
        self.places, self.lengths = (_LONG, 1, 0), (_LONG, 1, 0)

    def head(self, said: Said) -> bytes:
        made = bytearray(_saved(_blank(self.picture), "TIFF", {**said, "compression": "raw"}))
        (start,) = struct.unpack("<I", made[4:8])
        (count,) = struct.unpack("<H", made[start : start + 2])
        data = len(made)
        wanted = {
            _HEIGHT: (_LONG, 1, self.picture.size[1]),
            _COMPRESSION: (_SHORT, 1, _DEFLATE),
            _OFFSETS: self.places,
            _ROWS: (_LONG, 1, self.rows),
            _COUNTS: self.lengths,
        }
        for at in range(start + 2, start + 2 + 12 * count, 12):
            tag, _, _, value = struct.unpack("<HHII", made[at : at + 12])
            if tag == _OFFSETS:
                data = value  # of Pillow's one row
            if tag in wanted:
                made[at : at + 12] = struct.pack("<HHII", tag, *wanted[tag])
        return bytes(made[:data])

    def coded(self, band: Image) -> bytes:
        data = zlib.compress(band.tobytes())
        self.rows = max(self.rows, band.height)
        self.strips.append(len(data))
        return data

    def seen(self, band: Image) -> Image:
        return band

    def tail(self, place: int) -> bytes:
        begin, count = place - sum(self.strips), len(self.strips)
        if count == 1:
            self.places, self.lengths = (_LONG, 1, begin), (_LONG, 1, self.strips[0])
            return b""
        even = place + place % 2
        self.places, self.lengths = (_LONG, count, even), (_LONG, count, even + 4 * count)
        starts = accumulate(self.strips[:-1], initial=begin)
        return bytes(place % 2) + struct.pack(f"<{2 * count}I", *starts, *self.strips)


_CODERS: dict[str, type[_Png | _Jpeg | _Tiff]] = {"PNG": _Png, "JPEG": _Jpeg, "TIFF": _Tiff}


def _saved(image: Image, key: str, said: Said) -> bytes:
    file = io.BytesIO()
    image.save(file, key, **said)
    return file.getvalue()


def _blank(picture: Bands, rows: int = 1) -> Image:
    from PIL import Image

    return Image.new(picture.mode, (picture.size[0], rows))


def _segments(jpeg: bytes | bytearray) -> tuple[int, int]:
    """Where the frame's header begins, and where what is coded does."""
    place, frame = 2, 0
    while True:
        marker, length = struct.unpack(">HH", jpeg[place : place + 4])
        if marker == 0xFFC0:
            frame = place
        place += 2 + length
        if marker == 0xFFDA:
            return frame, place
