"""An eye: what guidances and choices look at pictures with.  This one sees colours; put a network in its place."""

from collections.abc import Callable
from functools import cache
from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional as F

from retouch.api import Range, VisionTokens, hookimpl, stage

SIDE = 64  # pixels of a side of what it looks at


@stage("eye", "newcomer", facts={"layers": 1})
def newcomer(*, patch: Annotated[int, Range(1, 32, "pixels")] = 8) -> VisionTokens:
    """See the mean colour of the picture, and how that of each patch differs from it.

    patch: a side of a patch, of the picture at 64 by 64 pixels.
    """
    return VisionTokens(SIDE, 1, _looking(patch))


@cache  # one function for all pictures, so that they are looked at together
def _looking(patch: int) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    def look(batch: Tensor) -> tuple[Tensor, Tensor]:
        """[B, 3, side, side] in [0, 1] -> class tokens [B, layers, d], keys [B, layers, n, d], its own first"""
        seen = F.avg_pool2d(batch, patch).flatten(2).mT  # [B, n - 1, 3]
        whole = seen.mean(1, keepdim=True)  # [B, 1, 3]
        return whole, torch.cat((whole, seen - whole), 1)[:, None]

    return look


@hookimpl
def retouch_stages():
    """What this distribution adds."""
    return [newcomer]
