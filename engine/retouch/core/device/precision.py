"""Half precision is the network's alone: what is added up over many steps is kept at least in float32."""

from __future__ import annotations

import torch
from torch import Tensor


def at_least_float32(x: Tensor) -> Tensor:
    """The tensor [...] in float32, unless it is more precise."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
