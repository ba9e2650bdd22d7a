"""What looks at pictures beside the denoiser: image-text models, vision transformers, perceptual metrics.

All of them see pictures in [0, 1], of any size; everything but a text is differentiable.  What several pictures wait
for is done in one batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from retouch.core.awaited.combinators import call
from retouch.core.device.ordered import bilinear

Batched = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class ImageText:
    """An image-text model: pictures and texts as directions in one space.  Radford et al. 2021, arXiv:2103.00020.

    side: pixels of a side of what it looks at; pictures are brought to that.
    pictures: [B, 3, side, side] in [0, 1] -> [B, d], of length 1
    tokens: a text as ids  # [n]
    words: ids [B, n] -> [B, d], of length 1
    """

    side: int
    pictures: Batched
    tokens: Callable[[str], Tensor]
    words: Batched

    async def picture(self, data: Tensor) -> Tensor:
        """Where a picture lies.  [3, H, W] -> [d], of length 1"""
        return await call(self.pictures, at_side(data, self.side))

    async def text(self, text: str) -> Tensor:
        """Where a text lies.  -> [d], of length 1"""
        return await call(self.words, self.tokens(text))


@dataclass(frozen=True, slots=True)
class VisionTokens:
    """A vision transformer: what it sees of a picture as a whole, and patch by patch.

    side: pixels of a side of what it looks at; layers: how many it has.
    look: [B, 3, side, side] in [0, 1] -> the class token of each layer [B, layers, d], its keys [B, layers, n, d], the
        class token's first
    """

    side: int
    layers: int
    look: Callable[[Tensor], tuple[Tensor, Tensor]]

    async def picture(self, data: Tensor, layer: int = -1) -> tuple[Tensor, Tensor]:
        """The class token [d] and the keys [n, d] of one layer, counted from 0, or from the last as -1."""
        tokens, keys = await call(self.look, at_side(data, self.side))
        return tokens[layer], keys[layer]

    async def places(self, data: Tensor) -> Tensor:
        """The keys of every layer at every place, without the class token's.  [3, H, W] -> [layers, n - 1, d]"""
        _, keys = await call(self.look, at_side(data, self.side))
        return keys[:, 1:]


@dataclass(frozen=True, slots=True)
class Perceptual:
    """A metric of how different two pictures look.  Zhang et al. 2018, arXiv:1801.03924.

    between: pairs [B, 2, 3, H, W] in [0, 1] -> [B]
    """

    between: Batched

    async def distance(self, one: Tensor, other: Tensor) -> Tensor:
        """How different two pictures [3, H, W] of one size look.  -> [], 0 for the same"""
        return await call(self.between, torch.stack((one, other)))


def at_side(data: Tensor, side: int) -> Tensor:
    """A picture as a network of this side takes it, without aliasing.  [..., 3, H, W] -> [..., 3, side, side]"""
    if data.shape[-2:] == (side, side):
        return data
    made = bilinear(data.reshape(-1, *data.shape[-3:]), (side, side), antialias=True)
    return made.reshape(*data.shape[:-2], side, side)
