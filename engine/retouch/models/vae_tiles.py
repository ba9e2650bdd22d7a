"""How large a VAE's tiles are, and what it sees whole: a run goes by this, and `plan` prices by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

Tiling = Literal["auto", "on", "off"]
LEAST_TILE = 512  # pixels of a side, where the model's own pictures are smaller
WHOLE = 2  # tiles on a side up to which "auto" leaves a picture whole


@dataclass(frozen=True, slots=True)
class VaeTiles:
    """Which pictures are cut, and into how large tiles.

    side: pixels of a tile's side.
    trained: pixels of a side of the pictures that the model was trained on.
    tiling: "on" for all that is larger than a tile, "auto" only where it saves much.
    """

    side: int
    trained: int
    tiling: Tiling = "auto"

    @classmethod
    def of(cls, trained: int, multiple: int, tiling: Tiling = "auto") -> Self:
        """Tiles for a model, which takes sides that are multiples of a number."""
        return cls(-(-max(trained, LEAST_TILE) // multiple) * multiple, trained, tiling)

    def whole(self, size: Sequence[int]) -> bool:
        """Whether a picture of this height and width is seen at once."""
        if self.tiling == "off" or max(size) <= self.side:
            return True
        return self.tiling == "auto" and max(size) <= WHOLE * max(self.trained, self.side // 2)
