"""Resizing and looking up whose gradients add up in a fixed order on a GPU, too.

Torch's own add to a pixel in the order in which threads come, so that the same edit ends otherwise each time; and where
they are told that order matters, they refuse.  Without gradients, and on the CPU, torch's own are taken.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from retouch.core.device.transfer import upload


def bilinear(batch: Tensor, size: tuple[int, int], *, antialias: bool = False) -> Tensor:
    """Pictures at another size, as `interpolate` makes them with `align_corners=False`.  [B, C, H, W] -> [B, C, h, w]

    antialias: whether each pixel of a smaller picture sees all that it stands for.
    """
    if not _wants_order(batch):
        return F.interpolate(batch, size, mode="bilinear", antialias=antialias, align_corners=False)
    down, across = (
        upload(_shares(now, then, antialias).to(batch.dtype), batch.device)
        for now, then in zip(batch.shape[-2:], size, strict=True)
    )
    return down @ batch @ across.T


def looked_up(picture: Tensor, places: Tensor) -> Tensor:
    """Colours of one picture at many places, between its pixels, black outside; as `grid_sample` finds them.

    picture: [C, H, W].  places: [B, h, w, 2] in [-1, 1] from edge to edge, x first; no gradient reaches them
    -> [B, C, h, w]
    """
    if not _wants_order(picture):
        many = picture.expand(len(places), -1, -1, -1)
        return F.grid_sample(many, places, mode="bilinear", align_corners=False)
    corners: list[Tensor] = []  # of each axis, x first: the two pixels beside a place ...
    shares: list[Tensor] = []  # ... and how much of each is seen there
    for place, count in zip(places.reshape(-1, 2).unbind(1), reversed(picture.shape[-2:]), strict=True):
        at = ((place + 1) * count - 1) / 2
        beside = torch.stack((at.floor(), at.floor() + 1), 1)  # [N, 2]
        there = (beside >= 0) & (beside <= count - 1)
        shares.append((1 - (at[:, None] - beside).abs()) * there)
        corners.append(beside.clamp(0, count - 1).long())
    indices = corners[1][:, :, None] * picture.shape[-1] + corners[0][:, None, :]  # [N, 2, 2]
    weights = shares[1][:, :, None] * shares[0][:, None, :]
    rows = picture.flatten(1).T.contiguous()
    found = F.embedding_bag(indices.flatten(1), rows, mode="sum", per_sample_weights=weights.flatten(1).to(rows))
    return found.unflatten(0, places.shape[:3]).permute(0, 3, 1, 2)


def reflected(batch: Tensor, margin: int) -> Tensor:
    """Pictures in a frame of what they show beside their edges, as in a mirror.  [..., H, W], each side + 2 * margin

    Where a picture is no larger than the margin, mirrors face each other, and it is seen in them again and again; of
    one pixel there is nothing else to see.
    """
    if not _wants_order(batch) and min(batch.shape[-2:]) > margin:
        return F.pad(batch, (margin,) * 4, mode="reflect")
    for axis in (-2, -1):
        count = batch.shape[axis]
        before = [_mirrored(-place, count) for place in range(margin, 0, -1)]
        behind = [_mirrored(count - 1 + place, count) for place in range(1, margin + 1)]
        sides = [torch.cat([batch.narrow(axis, place, 1) for place in each], axis) for each in (before, behind)]
        batch = torch.cat((sides[0], batch, sides[1]), axis)
    return batch


def _mirrored(place: int, count: int) -> int:
    """Which of so many pixels is seen at a place beside them."""
    place = place % (2 * count - 2) if count > 1 else 0
    return min(place, 2 * count - 2 - place)


def _wants_order(x: Tensor) -> bool:
    return x.is_cuda and x.requires_grad and torch.is_grad_enabled()


@lru_cache(maxsize=32)
def _shares(now: int, then: int, antialias: bool) -> Tensor:
    """How much each of `now` pixels in a row gives to each of `then`, by torch's own filter.  [then, now]"""
    pixels = torch.eye(now)[None, None]  # a column shows one of them
    return F.interpolate(pixels, (then, now), mode="bilinear", antialias=antialias, align_corners=False)[0, 0]
