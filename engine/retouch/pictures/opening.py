"""Open a picture file that may be anything, and look no further than its header."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import IO, TYPE_CHECKING

from retouch.pictures import formats
from retouch.pictures.foreign import COPY_AGAIN, SAVE_ANEW, SMALLER, foreign_kind
from retouch.pictures.refusals import may_read
from retouch.pictures.tiff import pieces

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_PIXELS = 40_000_000  # of a picture that is worked on whole
LARGEST = 400_000_000  # of one that is worked on in parts; it is held as four bytes a pixel
MAX_SIDE = 100_000  # pixels: decoders keep a place for each row, and filters one for each column
MAX_PIECES = 100_000  # strips or tiles of a TIFF
_ORIENTATION = 0x0112  # the EXIF tag
_NEW_SUBFILE_TYPE = 254  # TIFF's tag; its lowest bit says that the page is a smaller version of another


class Unreadable(ValueError):
    """A plain sentence that begins with the file: what is wrong with it, and what to do.

    path: the file; what: the rest of the sentence; mend: what to do.
    """

    def __init__(self, path: str | os.PathLike[str], what: str, mend: str = SAVE_ANEW) -> None:
        super().__init__(path, what, mend)
        self.path, self.what, self.mend = os.fspath(path), what, mend

    def __str__(self) -> str:
        return f"'{self.path}' {self.what}"

    @property
    def about(self) -> str:
        """The sentence where the file has been named already."""
        return f"it {self.what}"


class Changed(Unreadable):
    """A file that is another than it was when a run began to read it."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path, "has been changed since it was opened", "run the same again when nothing writes to it")


@dataclass(frozen=True, slots=True)
class PictureInfo:
    """What the header says; sides as seen upright."""

    path: Path
    width: int
    height: int
    mode: str  # as Pillow names it: RGB, RGBA, L, P, CMYK, I;16 ...
    format: str  # as Pillow names it, a key of formats.FORMATS
    alpha: bool  # whether it says what of it is transparent


def inspect(path: str | os.PathLike[str], *, max_pixels: int = LARGEST, as_stored: bool = False) -> PictureInfo:
    """Read the header only: a file that claims to be huge costs nothing.  as_stored: sides not as EXIF turns them."""
    with opened(path, max_pixels) as image:
        width, height = image.size[::-1] if orientation(image) > 4 and not as_stored else image.size
        # Telephones put a second picture behind the first and call it MPO; it is a JPEG.
        format = "JPEG" if image.format == "MPO" else str(image.format)
        return PictureInfo(Path(path), width, height, image.mode, format, image.has_transparency_data)


@contextmanager
def opened(path: str | os.PathLike[str], max_pixels: int) -> Iterator[Image]:
    """The picture, not decoded yet; whatever the decoder trips over becomes Unreadable."""
    from PIL import Image, UnidentifiedImageError

    _check_file(Path(path))
    try:
        # Pillow warns of odd tags and big pictures; the second we refuse below
        with _UNWARNED.meanwhile(), open_any_size(path, formats.READ) as image:
            width, height = image.size
            if max(width, height) > MAX_SIDE:
                raise Unreadable(path, f"is {width} x {height} pixels; sides of at most {MAX_SIDE:,} are read", SMALLER)
            if width * height > max_pixels:
                most = f"at most {max_pixels / 1e6:g} megapixels are read"
                raise Unreadable(path, f"is {width} x {height} pixels; {most}", SMALLER)
            # A TIFF says of its first page whether it is a smaller version of another.
            kind = getattr(image, "tag_v2", {}).get(_NEW_SUBFILE_TYPE, 0)
            if image.format == "TIFF" and isinstance(kind, int) and kind & 1:
                raise Unreadable(path, "begins with a thumbnail, as cameras' raw files do")
            yield image
    except Unreadable:
        raise
    except UnidentifiedImageError:
        kind, mend = foreign_kind(Path(path))
        other = f"{kind}, and what is read is {formats.readable()}" if kind else ""
        damaged = f"is not a {formats.readable()} picture, or its beginning is damaged"
        raise Unreadable(path, other or damaged, mend or SAVE_ANEW) from None
    except Image.DecompressionBombError:
        raise Unreadable(path, f"is larger than {max_pixels / 1e6:g} megapixels", SMALLER) from None
    except MemoryError:
        raise Unreadable(path, "does not fit into memory", SMALLER) from None
    except Exception as why:  # decoders raise anything on damaged files: OSError, SyntaxError, struct.error ...
        raise Unreadable(path, f"is damaged or cut off ({why})") from None


class _Unwarned:
    """Warnings are not told while any thread opens a picture: their filters are the whole process's.

    Of two threads with a `catch_warnings` each, the one that ends last would leave the other's filters for good.
    """

    def __init__(self) -> None:
        self._counting, self._inside, self._caught = Lock(), 0, warnings.catch_warnings()

    @contextmanager
    def meanwhile(self) -> Iterator[None]:
        """Count a picture that is open."""
        with self._counting:
            if not self._inside:
                self._caught = warnings.catch_warnings()
                self._caught.__enter__()
                warnings.simplefilter("ignore")
            self._inside += 1
        try:
            yield
        finally:
            with self._counting:
                self._inside -= 1
                if not self._inside:
                    self._caught.__exit__(None, None, None)


_UNWARNED = _Unwarned()
_opening = Lock()  # Pillow's limit is the whole process's


def open_any_size(file: str | os.PathLike[str] | IO[bytes], kinds: tuple[str, ...]) -> Image:
    """What Pillow opens, of the formats that it calls so, whatever its size."""
    from PIL import Image

    with suppress(Image.DecompressionBombError):  # few are, and a limit that is another meanwhile is seen by others
        return Image.open(file, formats=kinds)
    with _unlimited():
        return Image.open(file, formats=kinds)


def load_any_size(image: Image) -> None:
    """Decode what was opened, whatever its size; of a TIFF Pillow asks for that once more."""
    from PIL.Image import DecompressionBombError

    try:
        image.load()
    except DecompressionBombError:
        with _unlimited():
            image.load()


@contextmanager
def _unlimited() -> Iterator[None]:
    from PIL import Image

    with _opening:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def can_be_read(sides: tuple[int, int]) -> bool:
    """Whether a picture of this size is read at all."""
    return max(sides) <= MAX_SIDE and sides[0] * sides[1] <= LARGEST


def orientation(image: Image) -> int:
    """EXIF's 1 to 8, as far as it stands before the pixels; 1 is upright.  Pillow turns TIFFs itself."""
    if image.format == "TIFF" or (image.format == "PNG" and "exif" not in image.info):
        return 1
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # a damaged tag is no reason to refuse the picture
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _check_file(path: Path) -> None:
    try:
        if path.is_dir():
            raise Unreadable(path, "is a folder", "name the pictures in it")
        if not path.exists():
            raise Unreadable(path, "does not exist", "put it back")
        if not path.is_file():
            raise Unreadable(path, "is not a regular file", "name a picture that is one")
        if path.stat().st_size == 0:
            raise Unreadable(path, "is empty", COPY_AGAIN)
        cut = pieces(path)
    except OSError as why:
        raise Unreadable(path, f"cannot be opened: {why.strerror}", may_read(why)) from None
    if cut > MAX_PIECES:
        raise Unreadable(path, f"is cut into {cut:,} pieces; at most {MAX_PIECES:,} are read")
