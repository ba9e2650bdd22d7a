"""Larger pictures by filters alone: Keys 1981 (bicubic), Lanczos with three lobes, and edges sharpened again."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor
from torch.nn import functional as F

from retouch.api import Image, Range, resized, stage

Factor = Annotated[float, Range(1, 16)]
Sharpness = Annotated[float, Range(0, 5)]
_LARGER = {
    "height": "int(height * factor + 0.5)",
    "width": "int(width * factor + 0.5)",
    "about": "about",
    "idle": "factor == 1 and sharpen == 0",
}


@stage("upscale", "lanczos", default=True, paper="doi:10.1016/B978-0-08-050753-8.50042-5", facts=_LARGER)
def lanczos(image: Image, *, factor: Factor = 2.0, sharpen: Sharpness = 0.0) -> Image:
    """Make the picture larger by Lanczos' filter: the sharpest of the plain ones.

    factor: how many times as wide and as high.
    sharpen: how much of what a small blur would take away is added; 0 is none.
    """
    height, width = enlarged(image.size, factor)
    return _made(image, resized(image.data, height, width), sharpen)


@stage("upscale", "bicubic", paper="doi:10.1109/TASSP.1981.1163711", facts=_LARGER)
def bicubic(image: Image, *, factor: Factor = 2.0, sharpen: Sharpness = 0.0) -> Image:
    """Make the picture larger by cubic curves: softer than Lanczos' filter, with fewer rings beside edges.

    factor: how many times as wide and as high.
    sharpen: how much of what a small blur would take away is added; 0 is none.
    """
    size = enlarged(image.size, factor)
    grown = F.interpolate(image.data[None], size, mode="bicubic", align_corners=False)[0].clamp(0, 1)
    return _made(image, grown, sharpen)


def enlarged(size: tuple[int, int], factor: float) -> tuple[int, int]:
    """Height and width, so many times as large."""
    return int(size[0] * factor + 0.5), int(size[1] * factor + 0.5)


def _made(image: Image, data: Tensor, sharpen: float) -> Image:
    """The picture from its colours [3, H, W], sharpened, with its alpha at that size."""
    if sharpen:
        blurred = F.avg_pool2d(F.pad(data[None], (1, 1, 1, 1), mode="replicate"), 3, 1)[0]
        data = (data + sharpen * (data - blurred)).clamp(0, 1)
    return Image(data, None if image.alpha is None else resized(image.alpha, *data.shape[1:]))
