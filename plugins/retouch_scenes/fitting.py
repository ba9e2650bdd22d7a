"""A field fitted to pictures: Adam on rays that are drawn from all of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from retouch.api import (
    Adam,
    Moot,
    Need,
    NoiseSource,
    NothingLifted,
    Notices,
    Range,
    TrainingLog,
    on_host,
    stage,
    upload_numbers,
    value_and_grad,
)
from retouch_scenes.field import Field, seen
from retouch_scenes.meeting import LAST
from retouch_scenes.spaces import empty, kind_of
from retouch_scenes.views import Views

FALL = 0.1  # of the learning rate, over all steps of a grid
WIDE = 0.4  # of the farthest camera's distance, before which a guess keeps little fog away


class Batch(NamedTuple):
    """Rays, and what their pixels show.

    origins, directions: Tensor  # [R, 3]
    colour: Tensor  # [3, R], where the thing was cut out its own share of the pixel alone
    opacity: Tensor  # [R]
    """

    origins: Tensor
    directions: Tensor
    colour: Tensor
    opacity: Tensor


@dataclass(frozen=True, slots=True)
class Rays:
    """All pixels of views in a row, each with the ray that it is seen along.

    colours: Tensor  # [3, P].  opacities: Tensor  # [P].  starts: Tensor  # [N], where each view begins
    lenses: Tensor  # [N, 5], fx, fy, cx, cy, width
    only: Tensor  # [K], the pixels to draw from
    cut: bool  # whether opacities are known; else colours are as they are over white
    """

    colours: Tensor
    opacities: Tensor
    starts: Tensor
    lenses: Tensor
    poses: Tensor
    only: Tensor
    cut: bool

    @classmethod
    def of(cls, views: Views, only: list[Tensor] | None = None) -> Rays:
        """Raises NothingLifted where no pixel is left.

        only: for each view which of its pixels that count are drawn from, [H, W] bool; all without.
        """
        like = views.poses
        colours, opacities = list[Tensor](), list[Tensor]()
        for image in views.images:
            alpha = torch.ones_like(image.data[0]) if image.alpha is None else image.alpha
            colours.append((image.data - (1 - alpha)).flatten(1))  # over white, and back
            opacities.append(alpha.flatten())
        counts = [len(each) for each in opacities]
        starts = upload_numbers([sum(counts[:i]) for i in range(len(counts))], torch.int64, like.device)
        numbers = [(lens.fx, lens.fy, lens.cx, lens.cy, lens.width) for lens in views.lenses]
        lenses = upload_numbers(numbers, torch.float32, like.device)
        kept = torch.ones(sum(counts), dtype=torch.bool, device=like.device)
        for areas in (only, views.counted):
            if areas:
                kept &= torch.cat([each.flatten() for each in areas])
        chosen = kept.nonzero()[:, 0]
        if not len(chosen):
            what = "finds no pixel that counts and sees what is to change: masks of the photographs hide all of it"
            raise NothingLifted(what, "let another part change, or take mask_path from some frames of transforms.json")
        return cls(torch.cat(colours, 1), torch.cat(opacities), starts, lenses, views.poses, chosen, views.cut_out)

    def drawn(self, uniform: Tensor) -> Batch:
        """Rays by numbers from 0 to 1.  uniform: [R]"""
        place = self.only[(uniform * len(self.only)).long().clamp(max=len(self.only) - 1)]
        view = torch.searchsorted(self.starts, place, right=True) - 1
        inside = place - self.starts[view]
        fx, fy, cx, cy, width = self.lenses[view].unbind(1)
        row = torch.div(inside, width.long(), rounding_mode="floor")
        column = inside - row * width.long()
        d = torch.stack([(column + 0.5 - cx) / fx, (cy - row - 0.5) / fy, -torch.ones_like(fx)], 1)
        poses = self.poses[view]
        directions = (poses[:, :3, :3] @ d[:, :, None])[:, :, 0]
        return Batch(poses[:, :3, 3], directions, self.colours[:, place], self.opacities[place])


@dataclass(frozen=True, slots=True)
class Course:
    """How a fit goes.

    iterations, batch: steps of Adam, and rays in each.  lr: of the first step, in raw density and colour.
    smooth: weight of the mean difference between neighbours.  robust: by absolute differences instead of squares.
    levels: grids that share the steps, each twice as fine as the one before; the last one is the field's own.
    """

    iterations: int
    batch: int
    lr: float
    smooth: float
    robust: bool = False
    levels: int = 1

    def legs(self) -> list[tuple[int, range]]:
        """Of each grid how often its sides are still to be doubled, and its steps."""
        levels = min(self.levels, self.iterations)
        ends = [i * self.iterations // levels for i in range(levels + 1)]
        return [(levels - 1 - i, range(ends[i], ends[i + 1])) for i in range(levels)]


async def fitted(
    field: Field, rays: Rays, noise: NoiseSource, log: TrainingLog, course: Course, mask: Tensor | None = None
) -> Field:
    """Fit the field's grid to pixels; voxels outside the mask [D, H, W] keep their bits: of one level, with one."""
    start = grid = field.grid
    for doublings, steps in course.legs():
        grid = resampled(grid, field.coarser(doublings))
        adam = Adam(course.lr, betas=(0.9, 0.99), epsilon=1e-12)
        for k in steps:
            drawn = replace(noise, key=f"{noise.key}/{k}").normal(5, like=grid.new_zeros(course.batch))
            uniform = torch.special.ndtr(drawn)  # [5, R] in [0, 1]
            batch, jitter = rays.drawn(uniform[0]), uniform[1]
            wall = uniform[2:] if rays.cut else torch.ones_like(uniform[2:])
            sought = partial(missed, field, batch, jitter, wall, course.robust)
            found = await value_and_grad(sought, grid)
            adam.lr = course.lr * FALL ** ((k - steps.start) / len(steps))
            moved = adam.step(grid, found.grads[0] + course.smooth * roughness_pull(grid))
            grid = moved if mask is None else torch.where(mask, moved, start)
            if log.due(k + 1, course.iterations):
                log.learnt(k + 1, course.iterations, float(await on_host(found.loss)))
    return field.with_grid(grid)


async def missed(field: Field, batch: Batch, jitter: Tensor, wall: Tensor, robust: bool, grid: Tensor) -> Tensor:
    """By how much rays see another colour in the grid than in their pixels, before a wall [3, R].  []"""
    met = seen(field.with_grid(grid), batch.origins, batch.directions, jitter)
    # Before a wall of a random colour only opacity explains what is cut out: white fog does not.
    made = met.colour + (1 - met.opacity) * wall if field.open else met.colour
    gap = made - (batch.colour + (1 - batch.opacity) * wall)
    return gap.abs().mean() * 0.1 if robust else gap.square().mean()


def resampled(grid: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The same field in other voxels, of which the outermost stay where they are.  [C, *shape]"""
    if grid.shape[1:] == shape:
        return grid
    return F.interpolate(grid[None], size=shape, mode="trilinear", align_corners=True)[0]


def roughness_pull(grid: Tensor) -> Tensor:
    """The gradient of the mean absolute difference between neighbours along each axis, added up.  As the grid"""
    pull = torch.zeros_like(grid)
    for axis in (1, 2, 3):
        sign = torch.diff(grid, dim=axis).sign() / max(1, grid.numel() - grid.numel() // grid.shape[axis])
        pull.narrow(axis, 1, grid.shape[axis] - 1).add_(sign)
        pull.narrow(axis, 0, grid.shape[axis] - 1).sub_(sign)
    return pull


@stage(
    "fit",
    "field",
    default=True,
    version=3,
    paper="arXiv:2111.11215",
    facts={
        "frustum": "1 if space == 'frustum' or (space == 'auto' and one_side) else 0",
        "numbers": "24 * planes * (resolution if resolution else min(512, 1.25 * max(height, width)))"
        " * (resolution if resolution else min(512, 1.25 * max(height, width))) + 60 * rays * planes"
        " if space == 'frustum' or (space == 'auto' and one_side)"
        " else 24 * (resolution if resolution else min(160, max(64, max(height, width) / 2)))"
        " * (resolution if resolution else min(160, max(64, max(height, width) / 2)))"
        " * (resolution if resolution else min(160, max(64, max(height, width) / 2)))"
        " + 90 * rays * (resolution if resolution else min(160, max(64, max(height, width) / 2)))",
    },
    moot=(
        Moot("planes", "space == 'box'", 'space="box" has no planes'),
        Moot("levels", "iterations < levels", "'iterations' has no step for each of so many"),
    ),
    needs=(
        Need(
            "space != 'frustum' or front > 0.1 or views == 0",
            "has a frustum before cameras that look from all around",
            'write space="box"',
        ),
        Need(
            "meet or facing > 0.5",
            "is given cameras that do not look at one thing",
            "take photographs that do, from one side or from all around",
        ),
        Need(
            "meet or facing <= 0.5 or near > 0 and far > 0",
            "is given cameras whose lines of sight do not meet before them, from which no depth follows",
            "say between which depths there is something: near=1 far=10",
        ),
        Need(
            "meet or facing <= 0.5 or space == 'frustum' or (space == 'auto' and one_side)",
            "has no middle for a box where the cameras' lines of sight do not meet before them",
            'write space="frustum"',
        ),
        Need(
            "not meet or near and far or near <= 0 and far <= 0 or (near if near else (scene_near if space == 'frustum'"
            " or (space == 'auto' and one_side) else thing_near)) < (far if far else (scene_far if"
            " space == 'frustum' or (space == 'auto' and one_side) else thing_far))",
            "has its near behind its far, one of which the cameras tell",
            "write both; by the cameras it lies between "
            "near={scene_near if space == 'frustum' or (space == 'auto' and one_side) else thing_near} and "
            "far={scene_far if space == 'frustum' or (space == 'auto' and one_side) else thing_far}",
        ),
        Need("near == 0 or far == 0 or near < far", "has its near behind its far", "write near={far} far={near}"),
    ),
)
async def fit_field(
    views: Views,
    noise: NoiseSource,
    log: TrainingLog,
    notices: Notices,
    *,
    space: Literal["auto", "frustum", "box"] = "auto",
    resolution: Annotated[int, Range(0, 1024, "voxels")] = 0,
    planes: Annotated[int, Range(2, 512, "voxels")] = 32,
    near: Annotated[float, Range(0, 1e6)] = 0.0,
    far: Annotated[float, Range(0, 1e6)] = 0.0,
    levels: Annotated[int, Range(1, 8, "grids")] = 3,
    iterations: Annotated[int, Range(1, 100_000, "steps")] = 600,
    rays: Annotated[int, Range(1, 1_000_000, "rays")] = 2048,
    lr: Annotated[float, Range(0, 10)] = 0.2,
    smooth: Annotated[float, Range(0, 1)] = 1e-3,
) -> Field:
    """Fit one grid of density and colour that explains all photographs.

    A frustum is finest where the cameras are near to what they look at, and holds a whole scene; a box holds a thing
    that they look at from all around, cut to the silhouettes where the photographs have alpha.

    space: "frustum" for what is seen from one side, "box" for what is seen from all around; "auto" sees by the cameras.
    resolution: voxels along the longer side; 0 for 1.25 a pixel in a frustum, and half a pixel in a box.
    planes: of a frustum, in depth.
    near, far: depths between which there is something, in the units of the poses; 0 guesses them by the cameras.  Of
        what was walked round and not cut out, near is where a ball begins that half of the cameras see whole.
    levels: grids that are fitted one after the other, each begun with the one before, half as fine: coarse voxels are
        soon seen by many rays.  No more than there are steps.
    iterations: steps of Adam, shared by the levels.
    rays: pixels that each step sees.
    lr: of the first step of each level; it falls to a tenth.
    smooth: weight of differences between neighbouring voxels.
    """
    poses = await on_host(views.poses)
    kind = kind_of(replace(views, poses=poses)) if space == "auto" else space
    field = empty(views, kind, near, far, resolution, planes, poses)
    if kind == "box" and not (near or views.cut_out) and field.near < WIDE * field.far / LAST:
        notices.tell(
            "nothing is cut out of these photographs and they are wide, so that fog may fill what lies nearer than the "
            f"thing; say where that begins: near=… (by the cameras {field.near:.3g}, while all ends at {field.far:.3g})"
        )
    course = Course(iterations, rays, lr, smooth, levels=levels)
    return await fitted(field, Rays.of(views), noise, log, course)
