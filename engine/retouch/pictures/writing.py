"""Write pictures and masks, each in one step."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from retouch.pictures import stamp
from retouch.pictures.atomic import replacing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

_FORMATS = {
    "": "PNG",
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "PNG": {},
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True, "exact": True},  # exact: colours under full transparency stay
    "TIFF": {"compression": "tiff_deflate"},
}
_NOTHING: Mapping[str, str] = MappingProxyType({})


class Unwritable(ValueError):
    """A plain sentence: why the picture could not be written."""


def write(
    path: str | os.PathLike[str],
    rgb: NDArray[np.uint8],
    alpha: NDArray[np.uint8] | None = None,
    *,
    metadata: Mapping[str, str] = _NOTHING,
) -> tuple[str, ...]:
    """Write [H, W, 3] and [H, W] in the format of the suffix; return what a user should know about it."""
    import numpy as np
    from PIL import Image

    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
        raise ValueError(f"rgb must be uint8 [H, W, 3], not {rgb.dtype} {list(rgb.shape)}")
    image = Image.fromarray(rgb)
    if alpha is not None:
        image.putalpha(Image.fromarray(alpha))
    return _save(image, Path(path), metadata)


def write_mask(
    path: str | os.PathLike[str], mask: NDArray[Any], *, metadata: Mapping[str, str] = _NOTHING
) -> tuple[str, ...]:
    """Write a mask [H, W], uint8 or in [0, 1], as a grey picture: white is where to edit."""
    import numpy as np
    from PIL import Image

    grey = mask if mask.dtype == np.uint8 else np.rint(mask.clip(0, 1) * 255.0).astype(np.uint8)
    return _save(Image.fromarray(grey), Path(path), metadata)


def _save(image: Image, path: Path, metadata: Mapping[str, str]) -> tuple[str, ...]:
    format = _format(path)
    text, notices = stamp.fit(metadata, format)
    options = dict(_OPTIONS[format])
    if metadata:
        options |= {"pnginfo": stamp.png_chunk(text)} if format == "PNG" else {"exif": stamp.exif(text)}
    if format == "JPEG":
        notices.append("JPEG loses a little everywhere; PNG keeps what is outside the edit to the bit")
        image = _on_white(image, notices)
    try:
        with replacing(path) as file:
            image.save(file, format, **options)
    except (OSError, ValueError) as why:  # ValueError: more pixels than the format can hold
        raise Unwritable(f"'{path}' cannot be written: {getattr(why, 'strerror', None) or why}") from None
    return tuple(notices)


def _format(path: Path) -> str:
    try:
        return _FORMATS[path.suffix.lower()]
    except KeyError:
        raise Unwritable(f"'{path}' would be a {path.suffix} file; write .png, .jpg, .webp or .tif") from None


def _on_white(image: Image, notices: list[str]) -> Image:
    from PIL import Image

    if image.mode != "RGBA":
        return image
    notices.append("JPEG has no transparency; the picture was laid on white")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")
