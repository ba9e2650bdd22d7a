"""A picture in memory as a file that holds all of it, so that it is read like any other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from retouch.pictures import stamp
from retouch.pictures.about import about

if TYPE_CHECKING:
    from PIL.Image import Image

_PNG = {"1", "L", "LA", "P", "RGB", "RGBA", "I;16", "I;16B"}
_TIFF = {"CMYK", "F", "I", "YCbCr"}
_NEAREST = {"La": "LA", "RGBa": "RGBA", "PA": "RGBA", "RGBX": "RGB", "HSV": "RGB", "I;16L": "I", "I;16N": "I"}


class Unholdable(ValueError):
    """A picture in memory that no file holds: what is wrong, and what to write."""

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(what)
        self.what, self.mend = what, mend


def hold(image: Image, folder: Path, name: str) -> Path:
    """Write a picture of any mode, with its orientation, profile and all that it says.  Raises Unholdable."""
    try:
        image.load()
        if image.mode not in _PNG | _TIFF:
            if image.mode not in _NEAREST:
                raise Unholdable(
                    f"its mode is {image.mode}", "write image.convert('RGB'), or convert it by its profile"
                )
            image = image.convert(_NEAREST[image.mode])
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}{'.png' if image.mode in _PNG else '.tif'}"
        found = about(image)
        said: dict[str, Any] = {"icc_profile": found.profile} if found.profile else {}
        if found.dpi:
            said["dpi"] = found.dpi
        if len(tags := image.getexif()):
            said["exif"] = tags.tobytes()
        if path.suffix == ".png":
            said |= {"pnginfo": stamp.png_chunks("", found.text, found.xmp), "compress_level": 1}
        image.save(path, **said)
    except (OSError, SyntaxError, OverflowError) as why:  # a file that PIL had not read to its end yet
        raise Unholdable(f"it cannot be read: {why}", "look at the file that it was opened from") from None
    except ValueError as why:
        if isinstance(why, Unholdable):
            raise
        raise Unholdable(f"it cannot be read: {why}", "look at the file that it was opened from") from None
    return path
