"""Write pictures and masks, each in one step."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, BinaryIO

from retouch.pictures import formats, stamp
from retouch.pictures.about import DESCRIPTION, EXIF_IFD, GPS_IFD, XMP_TAG, About, exif_of, from_srgb, upright_xmp
from retouch.pictures.atomic import replacing
from retouch.pictures.bands.digest import PixelDigest
from retouch.pictures.bands.writing import Bands, is_banded, write_bands
from retouch.pictures.formats import Format
from retouch.pictures.opening import can_be_read, open_any_size
from retouch.pictures.pixels import digest_of_pixels
from retouch.pictures.reading import scaled, scaled_size
from retouch.pictures.refusals import may_write

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

_NOTHING: Mapping[str, str] = MappingProxyType({})
_BAND = 1_000_000  # pixels
_MARKER = 65_000  # bytes that one part of a JPEG's header can hold, without what introduces it


class Unwritable(ValueError):
    """A plain sentence: why the file could not be written.

    what: the same where the file has been named already; mend: what to do.
    """

    def __init__(self, path: str | os.PathLike[str], what: str, mend: str) -> None:
        super().__init__(path, what, mend)
        self.path, self.what, self.mend = os.fspath(path), what, mend

    @classmethod
    def of(cls, path: str | os.PathLike[str], why: Exception) -> Unwritable:
        """What the system or the format refuses."""
        mend = why.mend if isinstance(why, Refused) else may_write(why)
        return cls(path, getattr(why, "strerror", None) or str(why), mend)

    def __str__(self) -> str:
        return f"'{self.path}' cannot be written: {self.what}; {self.mend}"


@dataclass(frozen=True, slots=True)
class How:
    """What a user asks of a file besides its ending.

    quality: 1 to 100, None for the format's own.  size: the most pixels of the longer side, 0 for all.
    kept: what the source said, as far as it is to be in the file.
    """

    quality: int | None = None
    size: int = 0
    kept: About = field(default_factory=About)


def write(
    path: str | os.PathLike[str],
    rgb: NDArray[np.uint8],
    alpha: NDArray[np.uint8] | None = None,
    *,
    metadata: Mapping[str, str] = _NOTHING,
    how: How | None = None,
    ended: Callable[[BinaryIO], None] = lambda _file: None,
) -> tuple[str, ...]:
    """Write [H, W, 3] and [H, W] in the format of the ending; return what a user should know about it.

    ended: is given the file before it takes its place.
    """
    return _save(Path(path), picture(rgb, alpha), metadata, how or How(), ended)


def write_mask(
    path: str | os.PathLike[str], mask: NDArray[Any], *, metadata: Mapping[str, str] = _NOTHING
) -> tuple[str, ...]:
    """Write a mask [H, W], uint8 or in [0, 1], as a grey picture: white is where to edit."""
    return _save(Path(path), grey_picture(mask), metadata, How())


def picture(rgb: NDArray[np.uint8], alpha: NDArray[np.uint8] | None) -> Image:
    """Pillow's picture of [H, W, 3] and [H, W]."""
    import numpy as np
    from PIL import Image

    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
        raise ValueError(f"rgb must be uint8 [H, W, 3], not {rgb.dtype} {list(rgb.shape)}")
    image = Image.fromarray(rgb)
    if alpha is not None:
        image.putalpha(Image.fromarray(alpha))
    return image


def grey_picture(mask: NDArray[Any]) -> Image:
    """Pillow's picture of a mask [H, W], uint8 or in [0, 1]."""
    import numpy as np
    from PIL import Image

    return Image.fromarray(mask if mask.dtype == np.uint8 else np.rint(mask.clip(0, 1) * 255.0).astype(np.uint8))


def _save(
    path: Path,
    image: Image,
    metadata: Mapping[str, str],
    how: How,
    ended: Callable[[BinaryIO], None] = lambda _file: None,
) -> tuple[str, ...]:
    format = format_of(path)
    try:
        with replacing(path) as file:
            notices = encode(file, image, format, metadata, how)
            file.flush()
            ended(file)
            return notices
    except (OSError, Refused) as why:
        raise Unwritable.of(path, why) from None


def format_of(path: str | os.PathLike[str]) -> Format:
    """The format of a file by its ending; Unwritable if pictures are not written so."""
    if (format := formats.of_file(path)) is None:
        wanted = formats.listed(formats.endings(["picture"]))
        raise Unwritable(path, "it ends in no picture format", f"write {wanted}")
    return format


class Refused(ValueError):
    """A picture that the format cannot hold, such as one with too many pixels."""

    mend = "save it as PNG or TIFF, or smaller: save … size=4096"


def encode(
    file: BinaryIO, picture: Image | Bands, format: Format, metadata: Mapping[str, str], how: How, **more: Any
) -> tuple[str, ...]:
    """Write a picture to an open file; return what a user should know of it.  Raises Refused.

    picture: one that comes in bands is written so, to an empty file, where the format and `how` allow it.
    more: parameters of Pillow's own, for callers who know them.
    """
    from PIL import Image

    notices: list[str] = []
    if format.quality is not None:
        notices.append(f"{format.name} loses a little everywhere; PNG keeps what is outside the edit to the bit")
    elif how.quality:
        notices.append(f"{format.name} with a quality loses a little everywhere; without one it loses nothing")
    given = {**format.parameters(how.quality), **more}
    if not isinstance(picture, Image.Image):
        if is_banded(format.key, picture.size) and scaled_size(picture.size, how.size or None) == picture.size:
            return _in_bands(file, picture, format, metadata, how, given, notices)
        picture = joined(picture)
    image, profile = _fitted(scaled(picture, how.size or None), format, how.kept.profile, notices)
    try:
        if metadata and can_be_read(image.size):
            seen = _seen(image, format, given) if format.quality or how.quality else image
            metadata = {**metadata, stamp.PIXELS: digest_of_pixels(seen)}
        said = _described(image, format, metadata, how.kept, notices)
        if profile:
            said["icc_profile"] = profile
        image.save(file, format.key, **{**given, **said, **more})
    except ValueError as why:  # more pixels than the format can hold
        raise Refused(str(why)) from None
    return tuple(notices)


def _in_bands(
    file: BinaryIO,
    picture: Bands,
    format: Format,
    metadata: Mapping[str, str],
    how: How,
    given: Mapping[str, Any],
    notices: list[str],
) -> tuple[str, ...]:
    """Write a picture that comes in bands, whose digest is known when all of them are written."""
    from PIL import Image

    first, profile = _fitted(Image.new(picture.mode, (1, 1)), format, how.kept.profile, notices)
    fitted = _Fitted(picture, first.mode, lambda band: _fitted(band, format, how.kept.profile, [])[0])
    digest = PixelDigest(fitted.size) if metadata and can_be_read(fitted.size) else None

    def said(pixels: str, notices: list[str]) -> dict[str, Any]:
        told = {**metadata, stamp.PIXELS: pixels} if digest else metadata
        found = _described(fitted, format, told, how.kept, notices)
        return {**given, **found, **({"icc_profile": profile} if profile else {})}

    said("0" * 64, notices)  # what is left out of the file is told once, however often its head is made
    try:
        write_bands(file, format.key, fitted, lambda pixels: said(pixels, []), digest)
    except ValueError as why:  # more pixels than the format can hold
        raise Refused(str(why)) from None
    return tuple(notices)


@dataclass(frozen=True, slots=True)
class _Fitted:
    """A picture whose bands are made fit for a format."""

    picture: Bands
    mode: str
    fit: Callable[[Image], Image]

    @property
    def size(self) -> tuple[int, int]:
        return self.picture.size

    def bands(self, rows: int) -> Iterator[Image]:
        return map(self.fit, self.picture.bands(rows))


def joined(picture: Bands) -> Image:
    """All of a picture that comes in bands."""
    from PIL import Image

    made, top = Image.new(picture.mode, picture.size), 0
    for band in picture.bands(_BAND // picture.size[0] + 1):
        made.paste(band, (0, top))
        top += band.height
    return made


def _fitted(image: Image, format: Format, profile: bytes | None, notices: list[str]) -> tuple[Image, bytes | None]:
    """The colours as the format can hold them, in the profile that is kept."""
    from PIL import Image

    if not format.alpha and image.mode == "RGBA":
        notices.append(f"{format.name} has no transparency; the picture was laid on white")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image).convert("RGB")
    if not profile:
        return image, None
    if image.mode in ("RGB", "RGBA") and (converted := from_srgb(image, profile)) is not None:
        return converted, profile
    notices.append("the source's colour profile is not kept: it is not for RGB, which the result is in")
    return image, None


def _described(
    image: Image | Bands, format: Format, metadata: Mapping[str, str], kept: About, notices: list[str]
) -> dict[str, Any]:
    """Pillow's parameters for all that the file says besides its pixels and their profile."""
    said: dict[str, Any] = {}
    chunks = format.key == "PNG"  # PNG alone has a place for texts
    exif = exif_of(kept, image.size, dpi=format.key in ("WEBP", "JPEG"), text=not chunks)
    if format.key == "JPEG" and len(exif.tobytes()) > _MARKER - 5_000:
        notices.append("EXIF of the source is not kept: it is over 60 KB, more than JPEG holds")
        exif = exif_of(About(), image.size, dpi=False, text=False)
    if kept.dpi and format.key != "WEBP":
        said["dpi"] = kept.dpi
    if kept.xmp:
        xmp = upright_xmp(kept.xmp)
        if format.key == "TIFF":
            exif[XMP_TAG] = xmp
        elif format.key == "JPEG" and len(xmp) > _MARKER:
            notices.append("XMP of the source is not kept: it is over 64 KB, more than JPEG holds")
        elif format.key in ("JPEG", "WEBP"):
            said["xmp"] = xmp
    texts = dict(kept.text) if chunks else {}
    room = format.most_metadata - (len(exif.tobytes()) if format.key == "JPEG" and len(exif) else 0)
    recipe, left_out = stamp.fit(metadata, room) if metadata else ("", [])
    notices += left_out
    if recipe and not chunks:
        if DESCRIPTION in exif:
            notices.append("the recipe stands where the source had its title; --stamp none leaves the title there")
        exif[DESCRIPTION] = f"{stamp.KEY} {recipe}"
    if chunks and (recipe or texts or kept.xmp):
        said["pnginfo"] = stamp.png_chunks(recipe, texts, upright_xmp(kept.xmp) if kept.xmp else None)
    if format.key == "TIFF" and (EXIF_IFD in exif or GPS_IFD in exif):
        said["compression"] = "raw"  # libtiff, which compresses, writes no directory below the first
    if len(exif):
        said["exif"] = exif.tobytes()  # as bytes, since Pillow's TIFF writer reads directories from nothing else
    return said


def _seen(image: Image, format: Format, given: Mapping[str, Any]) -> Image:
    """The picture as whoever opens the file sees it, of a format that loses something."""
    file = io.BytesIO()
    image.save(file, format.key, **given)
    return open_any_size(file, (format.key,))
