"""Picture files: looked at from the header, read as 8-bit sRGB, written whole or not at all."""

from retouch.pictures import formats
from retouch.pictures.about import PARTS, About, read_about
from retouch.pictures.masks import MaskPicture, UnfitMask, read_mask
from retouch.pictures.opening import LARGEST, MAX_PIXELS, Changed, PictureInfo, Unreadable, inspect
from retouch.pictures.reading import DecodedPicture, decoded, read, scaled_size
from retouch.pictures.stamp import made_by_retouch, metadata
from retouch.pictures.writing import How, Unwritable, write, write_mask

__all__ = [
    "LARGEST",
    "MAX_PIXELS",
    "PARTS",
    "About",
    "Changed",
    "DecodedPicture",
    "How",
    "MaskPicture",
    "PictureInfo",
    "UnfitMask",
    "Unreadable",
    "Unwritable",
    "decoded",
    "formats",
    "inspect",
    "made_by_retouch",
    "metadata",
    "read",
    "read_about",
    "read_mask",
    "scaled_size",
    "write",
    "write_mask",
]
