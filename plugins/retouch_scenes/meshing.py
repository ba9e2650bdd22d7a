"""The surface of a field in a box, as triangles with colours: naive surface nets.

Gibson 1998, Constrained elastic surface nets: one vertex in each cell that the surface passes, in the middle of where
it crosses the cell's edges, and a square round each edge that it crosses.  Beside marching cubes (Lorensen and Cline
1987) it needs no table and leaves no slivers.
"""

from __future__ import annotations

import math
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from retouch.api import NothingOpaque
from retouch_scenes.field import EMPTY, THICKNESS, Field

CORNERS = tuple(product((0, 1), repeat=3))  # of a cell: z, y, x
NOTHING = -1e4  # raw density beyond the box, so that what reaches its walls is closed there


class Mesh(NamedTuple):
    """Triangles in the world.

    places: Tensor  # [V, 3].  colours: Tensor  # [V, 3], red, green, blue in [0, 1], as in pictures (sRGB)
    faces: Tensor  # [T, 3], numbers of vertices, against the clock seen from outside
    """

    places: Tensor
    colours: Tensor
    faces: Tensor


def surface(field: Field, opacity: float) -> Mesh:
    """The surface where one mean step of a ray through the field begins to take this share of the light.

    Raises ValueError for a frustum, NothingOpaque where no voxel is that opaque.
    """
    if field.space.kind != "box":
        raise ValueError('a frustum has no back that a mesh could show: write fit field space="box"')
    grid = field.grid.detach().float().cpu()
    level = raw_density(opacity)
    density = F.pad(grid[0], (1,) * 6, value=NOTHING)
    inside = density > level
    if not bool(inside.any()):
        most = float(-torch.expm1(-F.softplus(grid[0].max() - EMPTY) * THICKNESS))
        raise NothingOpaque(opacity, most)
    cells = _corners(inside)
    numbers = torch.full(cells.shape[1:], -1)
    passed = cells.any(0) & ~cells.all(0)
    numbers[passed] = torch.arange(int(passed.sum()))
    at = passed.nonzero()  # [V, 3], z, y, x of the padded grid
    colour = _corners(F.pad(torch.sigmoid(grid[1:]), (1,) * 6))[:, :, passed]  # [8, 3, V]
    # What is hardly there has the colour of nothing in particular, so corners count by how opaque they are.
    weight = -torch.expm1(-F.softplus(_corners(density)[:, passed] - EMPTY) * THICKNESS)
    colours = (colour * weight[:, None]).sum(0) / weight.sum(0)
    index = at + _crossing(density, at, level) - 1
    most = torch.tensor(grid.shape[1:]) - 1
    unit = (index.clamp(min=0).minimum(most) / most * 2 - 1).flip(1)
    places = field.space.world(unit.to(field.space.low)).cpu()
    return Mesh(places, colours.T.contiguous(), _faces(inside, numbers))


def raw_density(opacity: float) -> float:
    """The raw density whose mean step takes this share of the light: what `field.seen` does, the other way."""
    return EMPTY + math.log(math.expm1(-math.log1p(-opacity) / THICKNESS))


def _corners(values: Tensor) -> Tensor:
    """Values [..., D, H, W] at the eight corners of each cell.  [8, ..., D - 1, H - 1, W - 1]"""
    deep, tall, wide = (n - 1 for n in values.shape[-3:])
    return torch.stack([values[..., z : z + deep, y : y + tall, x : x + wide] for z, y, x in CORNERS])


def _crossing(density: Tensor, at: Tensor, level: float) -> Tensor:
    """The mean place, within each cell, of where the surface crosses its twelve edges.  [V, 3] in [0, 1]"""
    corners = torch.tensor(CORNERS)
    z, y, x = (at[:, None] + corners).unbind(-1)
    values = density[z, y, x]  # [V, 8]
    total, count = torch.zeros(len(at), 3), torch.zeros(len(at), 1)
    for a, b in product(range(8), repeat=2):
        if a < b and int((corners[a] - corners[b]).abs().sum()) == 1:
            first, second = values[:, a], values[:, b]
            crosses = (first > level) != (second > level)
            share = torch.where(crosses, (level - first) / torch.where(crosses, second - first, 1.0), 0.0)
            place = corners[a] + share[:, None] * (corners[b] - corners[a])
            total += torch.where(crosses[:, None], place, 0.0)
            count += crosses[:, None]
    return total / count


def _faces(inside: Tensor, numbers: Tensor) -> Tensor:
    """Two triangles round each edge between a voxel inside and one outside.  [T, 3]"""
    found: list[Tensor] = []
    for axis in range(3):
        here, there = (inside.narrow(axis, k, inside.shape[axis] - 1) for k in (0, 1))
        edge = (here != there).nonzero()  # the edge from here along the axis
        outwards = here[tuple(edge.unbind(1))]
        b, c = ((axis + k) % 3 for k in (1, 2))
        ring: list[Tensor] = []
        for back in ((1, 1), (0, 1), (0, 0), (1, 0)):
            cell = edge.clone()
            cell[:, b] -= back[0]
            cell[:, c] -= back[1]
            ring.append(numbers[tuple(cell.unbind(1))])
        squares = torch.stack(ring, 1)  # against the clock in z, y, x, so with it in x, y, z
        squares = torch.where(outwards[:, None], squares.flip(1), squares)
        found += [squares[:, [0, 1, 2]], squares[:, [0, 2, 3]]]
    return torch.cat(found)
