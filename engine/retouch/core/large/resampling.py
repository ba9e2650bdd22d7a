"""Pictures at another size: Lanczos' filter, which takes all pixels that a new one covers, so that nothing aliases.

Turkowski 1990, "Filters for common resampling tasks"; three lobes, as Pillow has it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from retouch.core.device.transfer import upload

_LOBES = 3


def resized(data: Tensor, height: int, width: int, *, linear: bool = False) -> Tensor:
    """A picture of values in [0, 1] at another size.  [..., H, W] -> [..., height, width]

    One of that size already is given back as it is, to the bit.
    linear: mix neighbours alone, as shares want it, which may not ring.
    """
    tall, wide = data.shape[-2:]
    if (tall, wide) == (height, width):
        return data
    down, across = (
        upload(_weights(new, old, linear=linear).to(data.dtype), data.device)
        for new, old in ((height, tall), (width, wide))
    )
    # The axis that shrinks most goes first: what comes between is never larger than it has to be.
    made = down @ (data @ across.T) if width * tall <= wide * height else (down @ data) @ across.T
    return made.clamp_(0, 1)  # the filter has negative lobes


def _weights(new: int, old: int, *, linear: bool) -> Tensor:
    """What each new place takes of each old one; rows add up to 1.  [new, old]"""
    step = old / new
    centres = (torch.arange(new, dtype=torch.float64) + 0.5) * step
    places = torch.arange(old, dtype=torch.float64) + 0.5
    apart = (places - centres[:, None]) / max(step, 1.0)
    if linear:
        weights = (1 - apart.abs()).clamp(min=0)
    else:
        weights = torch.where(apart.abs() < _LOBES, torch.sinc(apart) * torch.sinc(apart / _LOBES), 0.0)
    return weights / weights.sum(1, keepdim=True)
