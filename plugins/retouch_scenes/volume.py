"""A part of a field's space."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """Which voxels of a field may change: a mask with depth.

    data: Tensor  # [D, H, W] bool, of the field's own grid
    """

    data: Tensor
