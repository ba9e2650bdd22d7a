"""A part of a field's space."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from retouch_scenes.field import Field, Space


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """Which voxels of a field may change: a mask with depth.

    data: Tensor  # [D, H, W] bool, of the field's own grid
    space: where that lies
    """

    data: Tensor
    space: Space

    def of(self, field: Field) -> bool:
        """Whether it is a part of this field, not of another that lies elsewhere or has other voxels."""
        one, other = self.space, field.space
        places = zip((one.low, one.high, one.reference), (other.low, other.high, other.reference), strict=True)
        same = self.data.shape == field.grid.shape[1:] and (one.kind, one.centre) == (other.kind, other.centre)
        return same and all(mine is its or bool((mine == its).all()) for mine, its in places)
