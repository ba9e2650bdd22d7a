"""Any of Pillow's modes to 8-bit sRGB, with or without alpha."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

from retouch.pictures.opening import load_any_size

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageCms import ImageCmsTransform

ROUNDING = 3  # levels of 255 that makers of sRGB profiles disagree by
_WORDS = {
    "1": "black and white, read as colour",
    "L": "grey, read as colour",
    "LA": "grey, read as colour",
    "P": "palette, read as full colour",
    "PA": "palette, read as full colour",
    "CMYK": "CMYK, converted to RGB",
    "YCbCr": "YCbCr, converted to RGB",
}
_DEEP = "16 bits a channel, reduced to 8"
_FLOAT = "floating point, read as values from 0 to 1 and reduced to 8 bits"


def to_srgb(image: Image) -> tuple[Image, list[str]]:
    """Decode to RGB or RGBA, and say what was converted."""
    # Pillow drops the low bytes of 16-bit colour while decoding; only the raw mode tells
    tiles = getattr(image, "tile", None)
    raw = tiles[0].args if tiles else ""
    deep = ";16" in str(raw[0] if isinstance(raw, tuple) else raw) and not image.mode.startswith("I")
    load_any_size(image)
    profile = image.info.get("icc_profile")
    flat, notices = _eight_bits(image)
    if deep:
        notices = [_DEEP, *notices]
    if flat.mode in _WORDS:
        notices.append(_WORDS[flat.mode])
    if profile:
        flat, changes = _managed(flat, profile)
        notices += changes
    mode = "RGBA" if flat.has_transparency_data else "RGB"
    return (flat if flat.mode == mode else flat.convert(mode)), notices  # converting to its own would copy it


def _eight_bits(image: Image) -> tuple[Image, list[str]]:
    """Grey of more than eight bits to L; everything else as it is."""
    import numpy as np
    from PIL import Image

    if image.mode == "F":
        values: Any = np.nan_to_num(np.asarray(image), nan=0.0, posinf=1.0, neginf=0.0).clip(0, 1) * 255
        return Image.fromarray(np.rint(values).astype(np.uint8)), [_FLOAT]
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64).clip(0, 65535) / 257
        return Image.fromarray(np.rint(values).astype(np.uint8)), [_DEEP]
    return image, []


def _managed(image: Image, icc: bytes) -> tuple[Image, list[str]]:
    """From the picture's own colour space to sRGB; alpha is left as it is."""
    from PIL import ImageCms

    alpha = image.convert("RGBA").getchannel("A") if image.has_transparency_data else None
    opaque = image.convert(_OPAQUE.get(image.mode, image.mode))
    try:
        profile = ImageCms.ImageCmsProfile(BytesIO(icc))
        srgb = ImageCms.createProfile("sRGB")
        transform = ImageCms.buildTransform(profile, srgb, opaque.mode, "RGB")
        if is_srgb(transform, opaque.mode):
            return image, []
        name = ImageCms.getProfileDescription(profile).strip()
        managed = ImageCms.applyTransform(opaque, transform)
    except (ImageCms.PyCMSError, OSError):
        return image, ["colour profile ignored, because it does not fit the picture"]
    assert managed is not None  # it is None only for a transform applied in place
    if alpha is not None:
        managed.putalpha(alpha)
    return managed, [f"colours converted from '{name}' to sRGB"]


def is_srgb(transform: ImageCmsTransform, mode: str) -> bool:
    """Whether the profile, whatever its name, leaves colours as they are but for rounding."""
    import numpy as np
    from PIL import Image, ImageCms

    if mode not in ("RGB", "L"):
        return False
    levels = np.arange(0, 256, 15, dtype=np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
    probe = Image.fromarray(cube if mode == "RGB" else levels[None])
    made = ImageCms.applyTransform(probe, transform)
    assert made is not None
    apart = np.asarray(made).astype(int) - np.asarray(probe.convert("RGB"))
    return bool(np.abs(apart).max() <= ROUNDING)


_OPAQUE = {"RGBA": "RGB", "P": "RGB", "PA": "RGB", "LA": "L", "1": "L"}
