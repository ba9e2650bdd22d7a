"""Files that are no pictures for us: what each is by how it begins, and what to do with it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

SAVE_ANEW = "open it in another program and save it anew, as PNG"
COPY_AGAIN = "copy or download it again: no picture is in what is there"
SMALLER = "save it smaller in another program"
_BY_PILLOW = "python -c 'import sys; from PIL import Image; Image.open(sys.argv[1]).save(sys.argv[2])'"
_SEEN = 512  # bytes: RAW files name their maker near the beginning, web pages have comments before their first tag


@dataclass(frozen=True, slots=True)
class ForeignKind:
    """Files of one kind that are not read.

    beginning: what they begin with, a regular expression.  pillow: whether Pillow reads them, and so can write a PNG.
    """

    what: str
    beginning: bytes
    mend: str = SAVE_ANEW
    pillow: bool = False


_FOREIGN = (
    ForeignKind("is a GIF", rb"GIF8", pillow=True),
    ForeignKind("is an AVIF", rb"....ftypavi[fs]", pillow=True),
    ForeignKind(
        "is a HEIC, as telephones save them",
        rb"....ftyp(hei|hev|mif1|msf1)",
        "send it as JPEG, or where libheif is installed: heif-convert {path} {png}",
    ),
    ForeignKind("is a JPEG 2000", rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", pillow=True),
    ForeignKind("is a JPEG XL", rb"\xff\x0a|\0\0\0\x0cJXL ", "where libjxl is installed: djxl {path} {png}"),
    ForeignKind("is an icon", rb"\0\0\x01\0", pillow=True),
    ForeignKind("is a netpbm picture", rb"P[1-7][\s#]", pillow=True),
    ForeignKind("is a Photoshop file", rb"8BPS"),
    ForeignKind("is a camera's raw file", rb"II\*\0....CR\x02|FUJIFILMCCD-RAW|IIU\0|IIRO|....ftypcrx"),
    ForeignKind(
        "is an SVG, which has no pixels",
        rb"\s*(<\?xml[^>]*>\s*)?(<!--(?:(?!-->).)*-->\s*|<!DOCTYPE svg[^>]*>\s*)*<svg[\s>]",
    ),
    ForeignKind("is a PDF, which has no pixels", rb"%PDF"),
    ForeignKind(
        "is a web page, not the picture that it shows",
        rb"\s*(<!--(?:(?!-->).)*-->\s*)*<(!doctype html|html)",
        COPY_AGAIN,
    ),
    ForeignKind(
        "is a pointer of Git LFS, not the picture itself", rb"version https://git-lfs", "fetch it: git lfs pull"
    ),
    ForeignKind("is a film", rb"....ftyp|\x1aE\xdf\xa3|RIFF....AVI ", "take one picture out of it"),
    ForeignKind("is an archive", rb"PK\x03\x04|\x1f\x8b|7z\xbc\xaf|Rar!", "unpack it"),
    ForeignKind("holds zeros alone", rb"\0{16}", COPY_AGAIN),
)


def foreign_kind(path: Path) -> tuple[str, str]:
    """What a file is instead of a picture, and what to type; empty words if nobody knows."""
    with path.open("rb") as file:
        data = file.read(_SEEN)
    found = next((kind for kind in _FOREIGN if re.match(kind.beginning, data, re.DOTALL | re.IGNORECASE)), None)
    if found is None:
        return "", ""
    if found.pillow:
        return found.what, f"write a PNG of it: {_BY_PILLOW} {quote(str(path))} {quote(f'{path}.png')}"
    return found.what, found.mend.format(path=quote(str(path)), png=quote(f"{path}.png"))
