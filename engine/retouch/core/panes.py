"""Parts of latents that are larger than the model takes, and what each counts where they overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from retouch.core.rectangle import Rectangle
from retouch.core.tiling import tile_grid, tile_ramp
from retouch.core.values import AttentionMaps


@dataclass(frozen=True, slots=True, eq=False)
class Pane:
    """One window of larger latents.

    box: in cells of all the latents, whose height and width is `size`
    share: Tensor  # [1, h, w] of its cells; those of all windows add up to 1 at each cell
    first: whether it is the first of them; what is counted once a step is counted by it
    """

    box: Rectangle
    size: tuple[int, int]
    share: Tensor
    first: bool

    def placed(self, maps: AttentionMaps, scale: int) -> AttentionMaps:
        """Maps of the window as maps of all the latents, so that those of all windows add up to one.

        scale: cells of a token's side.  sums: [queries of the window, keys] -> [queries of all, keys]
        """
        (tall, wide), box = (side // scale for side in self.size), Rectangle(*(edge // scale for edge in self.box))
        share = F.avg_pool2d(self.share[None], scale)[0, 0].flatten()[:, None]  # [queries of the window, 1]

        def place(found: Tensor) -> Tensor:  # [queries of the window, tokens] -> [queries of the whole, tokens]
            whole = found.new_zeros(tall, wide, found.shape[-1])
            whole[box.top : box.bottom, box.left : box.right] = (found * share.to(found)).unflatten(0, box.size)
            return whole.flatten(0, 1)

        counts = {role: maps.count_of(role) * self.first for role in maps.sums}
        return AttentionMaps({role: place(each) for role, each in maps.sums.items()}, maps.count * self.first, counts)


@dataclass(frozen=True, slots=True)
class Windows:
    """Overlapping windows of latents, which fade into one another.

    side, overlap: in cells, multiples of `unit`
    unit: cells of which all edges are multiples: those that the network's coarsest tokens cover
    """

    side: int
    overlap: int
    unit: int = 1

    def panes(self, x: Tensor) -> Sequence[Pane]:
        """The windows of latents [C, h, w], row by row; one, which is all of them, where they are no larger."""
        size = (x.shape[-2], x.shape[-1])
        boxes = tile_grid(size, self.side, self.overlap, self.unit)
        ramps = [tile_ramp(box, size, self.overlap, x)[None] for box in boxes]
        total = torch.zeros_like(x[:1])
        for box, ramp in zip(boxes, ramps, strict=True):
            box.of(total).add_(ramp)
        return [
            Pane(box, size, ramp / box.of(total), first=place == 0)
            for place, (box, ramp) in enumerate(zip(boxes, ramps, strict=True))
        ]
