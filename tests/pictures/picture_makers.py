"""Makers of picture files of every kind."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from retouch.pictures import write
from retouch.pictures.stamp import KEY


def noise(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    """Random bytes: no decoder can guess them."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def touched(path: Path) -> Path:
    """A result that somebody has painted into since, what it says of itself left as it was."""
    write(path, noise(64, 64), metadata={"retouch": "0.1.0", "recipe": "invert ddim"})
    paint(path)
    return path


def paint(path: Path) -> None:
    """Change one pixel of a picture, and keep its stamp, wherever that stands."""
    with Image.open(path) as image:
        image.load()
        image.putpixel((3, 3), (255, 0, 255) if image.mode == "RGB" else 7)
        kept = PngInfo()
        kept.add_itxt(KEY, str(image.info.get(KEY, "")))
        more = {"pnginfo": kept} if path.suffix == ".png" else {"exif": image.getexif()}
        image.save(path, **more)


def png_of(*chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG from raw chunks, for what Pillow would not write."""
    parts = [b"\x89PNG\r\n\x1a\n"]
    for name, data in (*chunks, (b"IEND", b"")):
        parts.append(struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)))
    return b"".join(parts)


def header(width: int, height: int, depth: int, colour: int) -> tuple[bytes, bytes]:
    """IHDR."""
    return b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)


def deep_png(values: np.ndarray, colour: int) -> bytes:
    """16 bits a channel.  values: uint16 [H, W, C]"""
    height, width = values.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return png_of(header(width, height, 16, colour), (b"IDAT", zlib.compress(rows)))


def swapped_profile() -> bytes:
    """sRGB's profile with its red and blue primaries exchanged, under another name."""
    icc = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    tags = {bytes(icc[at : at + 4]): at for at in range(132, 132 + 12 * int.from_bytes(icc[128:132], "big"), 12)}
    red, blue = tags[b"rXYZ"], tags[b"bXYZ"]
    icc[red : red + 4], icc[blue : blue + 4] = icc[blue : blue + 4], icc[red : red + 4]
    name = "sRGB built-in".encode("utf-16-be")
    return bytes(icc).replace(name, "Swapped\0\0\0\0\0\0".encode("utf-16-be"))
