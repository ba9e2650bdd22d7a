"""Masks as programs save them, decided by content: on a transparent layer, in grey, or as numbers of areas."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retouch.pictures.opening import LARGEST, MAX_PIXELS, load_any_size, opened, orientation
from retouch.pictures.reading import upright

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    Bytes = NDArray[np.uint8]

VARIES = 16  # levels of 255 between the most and the least opaque pixel of a layer that means something
TINTED = 12  # levels between the colours of a grey pixel that JPEG has been through
FAINT = 1 / 8  # of the range; a mask whose whitest pixel is below is a file of numbers
ONE_COLOUR = 32  # levels that what was painted with one brush spans
TOLD = 12  # numbers that a message lists
ERASED = "what was erased from the picture is edited; 'mask invert' behind it edits the rest"
PAINT = "paint what is to be edited white on black, or in one colour on a transparent layer"


class UnfitMask(ValueError):
    """A picture that says not clearly what is to be edited; what is wrong, and what to do."""

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(what)
        self.what, self.mend = what, mend


@dataclass(frozen=True, slots=True, eq=False)
class MaskPicture:
    """How much of each pixel is to be edited, and what a user should know of it."""

    data: Bytes  # [H, W], 255 is edited
    notices: tuple[str, ...] = ()

    def check_size(self, height: int, width: int) -> None:
        """Refuse a mask of another size than its picture's."""
        tall, wide = self.data.shape
        if (tall, wide) != (height, width):
            raise UnfitMask(f"it is {wide}×{tall} pixels and the picture {width}×{height}", "save it at that size")


def read_mask(path: str | os.PathLike[str], label: int | None = None, *, max_pixels: int = LARGEST) -> MaskPicture:
    """Read a mask.  label: the number of the area, in a file of numbers; None for a file that is a mask itself.

    Raises Unreadable, or UnfitMask for a picture that cannot be meant as one.
    """
    with opened(path, max_pixels) as image:
        turned = orientation(image)
        # Grey of eight bits is read at any size; anything else takes several bytes a pixel once it is decoded.
        if image.width * image.height > MAX_PIXELS and image.mode not in _SLIM:
            size = f"{image.width}×{image.height} pixels"
            raise UnfitMask(f"it is {size} and holds more than grey", "save it as 8-bit grey")
        load_any_size(image)
        picture = upright(image, turned)
    if label is not None:
        import numpy as np

        numbers = _numbers(picture)
        if numbers is None:
            raise UnfitMask(
                "its areas have colours and no numbers", "save it as grey or palette numbers, or leave label out"
            )
        if not (found := numbers == label).any():
            raise UnfitMask(f"no pixel of it has the number {label}", _which(numbers))
        return MaskPicture(np.where(found, 255, 0).astype(np.uint8))
    alpha = _alpha(picture)
    return _painted(picture, alpha) if alpha is not None else _grey_mask(picture)


_SLIM = ("1", "L")  # modes of a byte a pixel, which are looked at as they are


def _alpha(image: Image) -> Bytes | None:
    """Opacity, if it varies; what is opaque everywhere, or transparent everywhere, says nothing."""
    import numpy as np

    if not image.has_transparency_data:
        return None
    alpha = np.asarray(image.convert("RGBA").getchannel("A"))
    if not alpha.any():
        raise UnfitMask("it is transparent everywhere", PAINT)
    return alpha if int(alpha.max()) - int(alpha.min()) >= VARIES else None


def _painted(image: Image, alpha: Bytes) -> MaskPicture:
    """A layer that was painted on, in one colour or in black and white; or a picture that was erased from."""
    import numpy as np

    colours = np.asarray(image.convert("RGBA"))[..., :3]
    seen = colours[alpha >= 128] if (alpha >= 128).any() else colours[alpha > 0]
    low, high = np.percentile(seen, (2, 98), axis=0)
    if (high - low).max() <= ONE_COLOUR:
        return MaskPicture(alpha.copy())
    grey = seen.astype(int).mean(axis=1)
    if _is_grey(seen) and np.mean((grey <= ONE_COLOUR) | (grey >= 255 - ONE_COLOUR)) > 0.98:
        whole = colours.mean(axis=2) * (alpha / 255)
        return MaskPicture(np.rint(whole).astype(np.uint8))
    return MaskPicture(255 - alpha, (ERASED,))


def _grey_mask(image: Image) -> MaskPicture:
    import numpy as np

    grey, whitest = _grey(image)
    if grey is None:
        if image.mode in ("P", "PA"):
            raise UnfitMask("its colours stand for the numbers of areas", _which(_numbers(image)))
        raise UnfitMask("it is a picture in colours", PAINT)
    if 0 < grey.max() < FAINT * whitest:
        numbers = _numbers(image)
        mend = PAINT if numbers is None or len(np.unique(numbers)) > TOLD else _which(numbers)
        raise UnfitMask(f"its whitest pixel is {grey.max():g} of {whitest:g}, so it edits next to nothing", mend)
    if grey.dtype == np.uint8:
        return MaskPicture(np.asarray(grey))
    return MaskPicture(np.rint(grey.clip(0, whitest) * (255 / whitest)).astype(np.uint8))


def _grey(image: Image) -> tuple[NDArray[Any] | None, float]:
    """Grey levels [H, W] and that of white; None for a picture in colours."""
    import numpy as np

    if image.mode == "F":
        return np.nan_to_num(np.asarray(image), nan=0.0, posinf=1.0, neginf=0.0), 1.0
    if image.mode.startswith("I"):
        return np.asarray(image).astype(np.float64), 65535.0
    if image.mode in _SLIM:
        return np.asarray(image.convert("L")), 255.0
    colours = np.asarray(image.convert("RGB"))
    return (colours.mean(axis=2), 255.0) if _is_grey(colours) else (None, 255.0)


def _is_grey(colours: Bytes) -> bool:
    import numpy as np

    levels = colours.reshape(-1, 3).astype(np.int16)
    return bool(np.percentile(levels.max(axis=1) - levels.min(axis=1), 99.9) <= TINTED)


def _numbers(image: Image) -> NDArray[Any] | None:
    """The number of each pixel's area [H, W], as far as the file holds numbers."""
    import numpy as np

    if image.mode in ("L", "P"):
        return np.asarray(image)
    if image.mode in ("1", "I", "I;16", "I;16B", "I;16L"):
        return np.asarray(image).astype(np.int64)
    if image.mode in ("LA", "PA"):
        return np.asarray(image)[..., 0].astype(np.int64)
    if image.mode in ("RGB", "RGBA"):
        colours = np.asarray(image)[..., :3]
        same = (colours[..., 0] == colours[..., 1]) & (colours[..., 1] == colours[..., 2])
        return colours[..., 0].astype(np.int64) if same.all() else None
    return None


def _which(numbers: NDArray[Any] | None) -> str:
    """What to write for a file of numbers; the most frequent one is what lies behind."""
    import numpy as np

    assert numbers is not None  # a palette has numbers
    found, counts = np.unique(numbers, return_counts=True)
    areas: Sequence[int] = [int(n) for n in found if n != found[counts.argmax()]] or [int(found[0])]
    listed = ", ".join(map(str, found[:TOLD])) + (" …" if len(found) > TOLD else "")
    return f"write label={areas[0]} for one of its areas: {listed}"
