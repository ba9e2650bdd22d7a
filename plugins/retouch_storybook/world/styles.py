"""The styles: each turns a finished drawing into another picture of the same scene."""

from collections.abc import Callable
from random import Random

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

Style = Callable[[Image.Image, Random], Image.Image]

GROUT = (70, 70, 70)


def sketch(picture: Image.Image, rng: Random) -> Image.Image:
    """A pencil sketch: grey dodged by its own blurred negative, with edges drawn in."""
    gray = picture.convert("L")
    negative = Image.eval(gray, lambda value: 255 - value).filter(ImageFilter.GaussianBlur(9))
    light, veil, edges = _floats(gray), _floats(negative), _floats(gray.filter(ImageFilter.FIND_EDGES))
    dodged = np.clip(light * 255 / (255 - veil + 1), 0, 255)
    return _picture(dodged * 0.55 + 0.45 * light * 0.4 + 110 - 1.6 * edges).convert("RGB")


def watercolor(picture: Image.Image, rng: Random) -> Image.Image:
    """A watercolour: flat soft patches, paled by the paper and mottled with pigment."""
    soft = picture.filter(ImageFilter.ModeFilter(9)).filter(ImageFilter.GaussianBlur(4))
    grains = np.random.default_rng(rng.getrandbits(31)).normal(0, 1, (24, 24)).astype(np.float32)
    mottle = _floats(Image.fromarray(grains).resize(picture.size, Image.Resampling.BICUBIC))
    return _picture(_floats(soft) * 0.72 + 255 * 0.28 + mottle[..., None] * 11)


def mosaic(picture: Image.Image, rng: Random) -> Image.Image:
    """A mosaic of 32 by 32 tiles."""
    tiles, side = 32, picture.width
    flat = picture.resize((tiles, tiles), Image.Resampling.BOX).resize(picture.size, Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(flat)
    for tile in range(tiles + 1):
        joint = tile * side // tiles
        draw.line([(joint, 0), (joint, side)], fill=GROUT, width=2)
        draw.line([(0, joint), (side, joint)], fill=GROUT, width=2)
    return flat


STYLISTS: dict[str, Style] = {"sketch": sketch, "watercolor": watercolor, "mosaic": mosaic}


def _floats(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture, np.float32)


def _picture(values: np.ndarray) -> Image.Image:
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))
