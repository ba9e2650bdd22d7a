"""What a picture says besides its pixels: read where it was opened, and written again where a user asks for it.

EXIF tags are those of Exif 2.32 (CIPA DC-008).  Text of other programs has no place of its own outside of PNG; there it
goes into EXIF's UserComment, as programs that generate pictures do.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from math import inf
from typing import TYPE_CHECKING, Any, Literal

from retouch.pictures.colour import is_srgb
from retouch.pictures.opening import LARGEST, Unreadable, opened

if TYPE_CHECKING:
    from PIL.Image import Image

Part = Literal["exif", "gps", "dpi", "profile", "xmp", "text", "all"]
PARTS: tuple[Part, ...] = ("exif", "gps", "dpi", "profile", "xmp", "text")

DESCRIPTION, ORIENTATION, COMMENT = 0x010E, 0x0112, 0x9286
X_DPI, Y_DPI, DPI_UNIT, INCH, CENTIMETRE = 0x011A, 0x011B, 0x0128, 2, 3
EXIF_IFD, GPS_IFD = 0x8769, 0x8825
XMP_TAG = 0x02BC  # of TIFF
_WIDTH, _HEIGHT, _COLOUR_SPACE, _SRGB = 0xA002, 0xA003, 0xA001, 1
_TOLD = {0x0132: "date", 0x9003: "date", 0x8298: "copyright", 0x013B: "author", 0x0110: "camera", DESCRIPTION: "title"}
# What says how the old file was laid out, or is right for the old pixels alone; a maker's note has addresses in it.
_LAYOUT = {ORIENTATION, X_DPI, Y_DPI, DPI_UNIT, EXIF_IFD, GPS_IFD, XMP_TAG, 0x927C, 0xA005, 0x8773, 0x83BB, 0x8649}
_LAYOUT |= {*range(0x00FE, 0x010E), *range(0x0111, 0x011A), *range(0x011C, 0x011E), 0x0129, *range(0x013C, 0x0146)}
_LAYOUT |= {0x0152, 0x0153, 0x0154, 0x0155, *range(0x0200, 0x0216), 0x013D, 0x014A, 0x015B}
_NO_WORDS = {"retouch", "XML:com.adobe.xmp", "Software", "date:create", "date:modify", "date:timestamp"}
_SCREEN = {72, 96}  # dots an inch that programs write without being asked


@dataclass(frozen=True, slots=True)
class About:
    """What a picture says of itself, without what Retouch wrote.

    exif, more: tags of the first EXIF directory, and of that for the camera.  gps: of the place.
    dpi: dots an inch, across and down.
    """

    exif: Mapping[int, Any] = field(default_factory=dict[int, Any])
    more: Mapping[int, Any] = field(default_factory=dict[int, Any])
    gps: Mapping[int, Any] = field(default_factory=dict[int, Any])
    dpi: tuple[float, float] | None = None
    profile: bytes | None = None
    xmp: bytes | None = None
    text: Mapping[str, str] = field(default_factory=dict[str, str])

    def only(self, parts: Collection[str]) -> About:
        """What is to be kept of it."""
        if "all" in parts:
            return self
        empty: Mapping[Any, Any] = {}
        return About(
            exif=self.exif if "exif" in parts else empty,
            more=self.more if "exif" in parts else empty,
            gps=self.gps if "gps" in parts else empty,
            dpi=self.dpi if "dpi" in parts else None,
            profile=self.profile if "profile" in parts else None,
            xmp=self.xmp if "xmp" in parts else None,
            text=self.text if "text" in parts else empty,
        )

    def worth_keeping(self) -> dict[str, str]:
        """By part, in words: all that a user would miss.

        A colour profile is none of it, since the colours themselves were converted, which is told where that is done.
        """
        parts: dict[str, str] = {}
        if words := dict.fromkeys(_TOLD[tag] for tag in (*self.exif, *self.more) if tag in _TOLD):
            parts["exif"] = f"EXIF ({', '.join(words)})"
        if self.gps:
            parts["gps"] = "where it was taken"
        if self.dpi and round(self.dpi[0]) not in _SCREEN:
            parts["dpi"] = f"{round(self.dpi[0])} dpi"
        if self.xmp:
            parts["xmp"] = "XMP"
        if self.text:
            parts["text"] = f"text ({', '.join(list(self.text)[:3])})"
        return parts


def read_about(path: str | os.PathLike[str]) -> About:
    """What a picture file says; nothing, if it cannot be read."""
    try:
        with opened(path, LARGEST) as image:
            return about(image)
    except Unreadable:
        return About()


def about(image: Image) -> About:
    """What an opened picture says.  Of a PNG what stands before its pixels, which is where programs write."""
    tags = image.getexif()
    exif = _tags(tags)
    # That is a stamp of ours, and nothing that anybody said of the picture.
    if str(exif.get(DESCRIPTION, "")).startswith("retouch "):
        del exif[DESCRIPTION]
    more = _tags(tags.get_ifd(EXIF_IFD))
    text = dict(_texts(image))
    if comment := _comment(more.pop(COMMENT, None)):
        text["comment"] = comment
    xmp = image.info.get("xmp") or tags.get(XMP_TAG)
    return About(
        exif,
        more,
        _tags(tags.get_ifd(GPS_IFD)),
        _dpi(image.info.get("dpi")) or _dpi_of(tags),
        image.info.get("icc_profile") or None,
        xmp.encode() if isinstance(xmp, str) else xmp if isinstance(xmp, bytes) else None,
        text,
    )


def _tags(found: Any) -> dict[int, Any]:
    return {tag: value for tag, value in dict(found).items() if tag not in _LAYOUT and _whole(value)}


def _whole(value: Any) -> bool:
    """Whether a tag's value can be written again: a damaged one may hold fractions of nothing."""
    if isinstance(value, tuple):
        return all(map(_whole, value))
    return not isinstance(value, dict) and value is not None and getattr(value, "denominator", 1) != 0


def _dpi(sides: Any) -> tuple[float, float] | None:
    try:
        across, down = map(float, sides)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if 1 < across < inf and 1 < down < inf else None


def _dpi_of(tags: Any) -> tuple[float, float] | None:
    """From EXIF, where the format has no other place."""
    if not (found := _dpi((tags.get(X_DPI), tags.get(Y_DPI)))) or tags.get(DPI_UNIT) not in (INCH, CENTIMETRE):
        return None
    factor = 2.54 if tags.get(DPI_UNIT) == CENTIMETRE else 1.0
    return found[0] * factor, found[1] * factor


def _texts(image: Image) -> Iterator[tuple[str, str]]:
    if image.format in ("PNG", None):  # None: one that was made in memory
        for name, value in image.info.items():
            if isinstance(value, str) and str(name) not in _NO_WORDS and not str(name).startswith("Raw profile"):
                yield str(name), str(value)
    elif isinstance(comment := image.info.get("comment"), bytes) and (words := comment.decode("utf-8", "replace")):
        yield "comment", words.rstrip("\0")


def _comment(value: Any) -> str:
    """EXIF's UserComment, whose first eight bytes name its encoding."""
    if not isinstance(value, bytes) or len(value) <= 8:
        return ""
    if value.startswith(b"UNICODE"):
        rest = value[8:]
        big = rest.startswith(b"\xfe\xff") or (rest[:1] == b"\0" and rest[1:2] != b"\0")
        return rest.decode("utf-16-be" if big else "utf-16-le", "replace").strip("\0\ufeff ")
    return value[8:].decode("utf-8", "replace").strip("\0 ")


def exif_of(kept: About, size: tuple[int, int], *, dpi: bool, text: bool) -> Any:
    """Pillow's Exif of what is kept, for a picture that is upright and in sRGB, width and height `size`.

    dpi, text: whether these have to go there too, since the format has no other place for them.
    """
    from PIL.Image import Exif

    tags = Exif()
    for tag, value in _writable(kept.exif).items():
        tags[tag] = value
    if dpi and kept.dpi:
        tags[X_DPI], tags[Y_DPI] = kept.dpi
        tags[DPI_UNIT] = INCH
    more = dict(kept.more)
    if text and kept.text:
        words = "\n".join(value if name == "comment" else f"{name}: {value}" for name, value in kept.text.items())
        # Exif has no byte order of its own for this text: readers take that of the file.
        more[COMMENT] = b"UNICODE\0" + words.encode("utf-16-be" if tags.endian == ">" else "utf-16-le")
    more |= {tag: side for tag, side in zip((_WIDTH, _HEIGHT), size, strict=True) if tag in more}
    if _COLOUR_SPACE in more and not kept.profile:
        more[_COLOUR_SPACE] = _SRGB
    for directory, found in ((EXIF_IFD, more), (GPS_IFD, kept.gps)):
        if found := _writable(found):
            tags[directory] = found
    return tags


def _writable(tags: Mapping[int, Any]) -> dict[int, Any]:
    """Those of the tags that Pillow can write: what stands in a file may be of any type."""
    from PIL.Image import Exif

    found: dict[int, Any] = {}
    for tag, value in tags.items():
        alone = Exif()
        alone[tag] = value
        try:
            alone.tobytes()
        except Exception:  # struct.error, TypeError, ValueError ...
            continue
        found[tag] = value
    return found


def upright_xmp(xmp: bytes) -> bytes:
    """The same packet, whose picture is not turned any more."""
    return re.sub(rb"(tiff:Orientation(?:=[\"']|>))\d", rb"\g<1>1", xmp)


def from_srgb(image: Image, profile: bytes) -> Image | None:
    """The colours in the profile that the source had; None where it is for other than RGB."""
    from PIL import ImageCms

    try:
        wanted: Any = ImageCms.ImageCmsProfile(BytesIO(profile))
        if wanted.profile.xcolor_space.strip() != "RGB":
            return None
        srgb = ImageCms.createProfile("sRGB")
        alpha = image.getchannel("A") if image.mode == "RGBA" else None
        opaque = image.convert("RGB")
        transform = ImageCms.buildTransform(srgb, wanted, "RGB", "RGB")
        if not is_srgb(transform, "RGB"):
            opaque = ImageCms.applyTransform(opaque, transform)
    except (ImageCms.PyCMSError, OSError):
        return None
    assert opaque is not None  # it is None only for a transform applied in place
    if alpha is not None:
        opaque.putalpha(alpha)
    return opaque
