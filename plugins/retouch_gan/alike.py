"""How far a picture is from one that it is to stay like, as vision transformers see both place by place.

Keys as descriptors of structure: Tumanyan et al. 2022, arXiv:2201.00424.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from retouch.api import VisionTokens, gather, places_apart


@dataclass(frozen=True, slots=True)
class Alike:
    """A picture as these transformers have it.

    keys: Tensor  # [layers, places, d] for each
    """

    towers: tuple[VisionTokens, ...]
    keys: tuple[Tensor, ...]

    @classmethod
    async def to(cls, picture: Tensor, towers: tuple[VisionTokens, ...]) -> Alike:
        """The picture that others are to be like.  [3, H, W] in [0, 1]"""
        return cls(towers, tuple(await gather(tower.places(picture) for tower in towers)))

    async def unlike(self, picture: Tensor) -> Tensor:
        """How much a picture differs from it: 0 if not at all; differentiable.  [3, H, W] -> []"""
        seen = await gather(tower.places(picture) for tower in self.towers)
        return torch.stack([places_apart(*each) for each in zip(seen, self.keys, strict=True)]).mean()
