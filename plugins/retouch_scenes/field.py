"""A radiance field on one grid: density and colour at voxels, in a box of the world or in the mean camera's frustum.

Volume rendering is Max 1995's sum, as Mildenhall et al. 2020 (NeRF), arXiv:2003.08934, eq. 3, has it.  A frustum's grid
is a multi-plane image (Zhou et al. 2018, arXiv:1805.09817) with trilinear look-up in between.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from retouch.api import upload

THICKNESS = 2.0  # optical depth of one mean step at raw density 3: what begins to be opaque
EMPTY = 2.0  # raw density 0 is softplus(-2), nearly nothing


@dataclass(frozen=True, slots=True, eq=False)
class Space:
    """Where a grid lies in the world.

    kind: "box", by the world's axes, or "frustum": x / depth, y / depth and 1 / depth of a camera.
    low, high: Tensor  # [3], its corners, in that order
    reference: Tensor  # [4, 4], world to that camera; of a box nothing reads it
    centre: the point of the photographs' own world that all of this is counted from, as `Views` has it
    """

    kind: Literal["box", "frustum"]
    low: Tensor
    high: Tensor
    reference: Tensor
    centre: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def unit(self, points: Tensor) -> Tensor:
        """Points of the world in [-1, 1] on each axis of the grid, x first.  [..., 3]"""
        if self.kind == "frustum":
            c = points @ self.reference[:3, :3].T + self.reference[:3, 3]
            depth = torch.maximum(-c[..., 2], 1e-3 / self.high[2])  # nothing lies behind the camera
            points = torch.stack([c[..., 0] / depth, c[..., 1] / depth, 1 / depth], -1)
        return (points - self.low) / (self.high - self.low) * 2 - 1

    def world(self, unit: Tensor) -> Tensor:
        """The other way.  [..., 3]"""
        points = (unit + 1) / 2 * (self.high - self.low) + self.low
        if self.kind == "frustum":
            depth = 1 / points[..., 2]
            c = torch.stack([points[..., 0] * depth, points[..., 1] * depth, -depth], -1)
            back = torch.linalg.inv(self.reference)
            points = c @ back[:3, :3].T + back[:3, 3]
        return points


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """What pictures show, as density and colour in space.

    grid: Tensor  # [4, D, H, W], raw density and raw red, green, blue: softplus and sigmoid are taken of them
    near, far: depth of a ray's first and last sample, in units of the world.
    samples: how many there are; evenly spaced in depth in a box, in 1 / depth in a frustum.
    open: whether rays end in what is behind: else the last sample is opaque.
    changed: Tensor | None  # [D, H, W] bool, where edits have changed it; None before any
    """

    grid: Tensor
    space: Space
    near: float
    far: float
    samples: int
    open: bool
    changed: Tensor | None = None

    def with_grid(self, grid: Tensor) -> Field:
        """The same space filled otherwise."""
        return replace(self, grid=grid)

    def coarser(self, halvings: int) -> tuple[int, ...]:
        """The sides of a grid that is so often half as fine: in a frustum across, in a box also in depth."""
        kept = 1 if self.space.kind == "frustum" else 0
        return *self.grid.shape[1 : 1 + kept], *(max(2, n >> halvings) for n in self.grid.shape[1 + kept :])

    def centres(self) -> Tensor:
        """Where its voxels lie in the world.  [D, H, W, 3]"""
        axes = (torch.linspace(-1, 1, n).to(self.grid.dtype) for n in self.grid.shape[1:])
        axes = (upload(axis, self.grid.device) for axis in axes)
        z, y, x = torch.meshgrid(*axes, indexing="ij")
        return self.space.world(torch.stack([x, y, z], -1))


class RaysSeen(NamedTuple):
    """What rays see.

    colour: Tensor  # [3, R], of what they meet; where the field is open, not yet over what is behind it
    opacity: Tensor  # [R], how much they meet
    depth: Tensor  # [R], mean depth of that
    weights: Tensor  # [R, S], of each sample
    places: Tensor  # [R, S, 3], the samples on the grid, in [-1, 1]
    """

    colour: Tensor
    opacity: Tensor
    depth: Tensor
    weights: Tensor
    places: Tensor


def depths(field: Field, jitter: Tensor) -> Tensor:
    """Depths of the samples of rays, each moved by a share of a step.  jitter: [R] in [0, 1]; [R, S]"""
    at = torch.arange(field.samples, dtype=jitter.dtype, device=jitter.device)
    share = (at + jitter[:, None]) / field.samples
    if field.space.kind == "frustum":
        return 1 / (1 / field.near + (1 / field.far - 1 / field.near) * share)
    return field.near + (field.far - field.near) * share


def samples(field: Field, origins: Tensor, directions: Tensor, jitter: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Depths of the samples of rays [R, S], and where on the grid they lie, in [-1, 1], [R, S, 3]."""
    t = depths(field, torch.full_like(origins[:, 0], 0.5) if jitter is None else jitter)
    return t, field.space.unit(origins[:, None] + directions[:, None] * t[..., None])


def seen(field: Field, origins: Tensor, directions: Tensor, jitter: Tensor | None = None) -> RaysSeen:
    """What rays see of a field, each along its direction, whose depth is 1; differentiable in the grid.

    origins, directions: [R, 3].  jitter: [R] in [0, 1], where in each step its sample lies; in its middle without.
    """
    t, places = samples(field, origins, directions, jitter)
    values = looked_up(field.grid, places)  # [4, R, S]
    step = torch.diff(t, dim=1)
    step = torch.cat([step, step[:, -1:]], 1)
    # By steps of the field, not units of the world: scenes are of any size, and so are their slanted rays.
    length = step / ((field.far - field.near) / field.samples) * directions.norm(dim=-1, keepdim=True)
    thick = F.softplus(values[0] - EMPTY) * THICKNESS * length
    if field.open:
        thick = thick * (places.abs() <= 1).all(-1)
    alpha = 1 - torch.exp(-thick)
    if not field.open:
        alpha = torch.cat([alpha[:, :-1], torch.ones_like(alpha[:, -1:])], 1)
    before = _summed(torch.cat([torch.zeros_like(thick[:, :1]), thick[:, :-1]], 1))
    weights = torch.exp(-before) * alpha
    colour = (weights * torch.sigmoid(values[1:])).sum(-1)
    return RaysSeen(colour, weights.sum(1), (weights * t).sum(1), weights, places)


def _summed(x: Tensor) -> Tensor:
    """The sum of each number of a row with those before it.  [R, S]"""
    if x.is_cuda:  # whose `cumsum` vouches for no order, so that all of a gradient would be refused one
        return x @ torch.ones(x.shape[1], x.shape[1], dtype=x.dtype, device=x.device).triu()
    return x.cumsum(1)


def looked_up(grid: Tensor, places: Tensor) -> Tensor:
    """Trilinear look-up in a grid [C, D, H, W] at places in [-1, 1], x first; its border goes on outside.

    places: [R, S, 3]; [C, R, S]
    """
    if grid.is_cuda:  # whose gradient of `grid_sample` has no fixed order
        return gathered(grid, places)
    return F.grid_sample(grid[None], places[None, None], align_corners=True, padding_mode="border")[0, :, 0]


def gathered(grid: Tensor, places: Tensor) -> Tensor:
    """The same as a weighted sum of eight voxels, whose gradient adds up in a fixed order."""
    _, deep, tall, wide = grid.shape
    corners, shares = list[Tensor](), list[Tensor]()
    for place, count in zip(places.reshape(-1, 3).unbind(1), (wide, tall, deep), strict=True):
        at = ((place + 1) / 2 * (count - 1)).clamp(0, count - 1)
        corner = at.detach().long().clamp(max=count - 2)
        corners.append(corner)
        shares.append(torch.stack([1 - (at - corner), at - corner], 1))
    x, y, z = shares
    weights = (z[:, :, None, None] * y[:, None, :, None] * x[:, None, None, :]).reshape(-1, 8)
    first = (corners[2] * tall + corners[1]) * wide + corners[0]
    offsets = [(k * tall + j) * wide + i for k in (0, 1) for j in (0, 1) for i in (0, 1)]
    indices = torch.stack([first + offset for offset in offsets], 1)
    rows = grid.flatten(1).T.contiguous()
    found = F.embedding_bag(indices, rows, mode="sum", per_sample_weights=weights)
    return found.T.reshape(len(grid), *places.shape[:-1])
