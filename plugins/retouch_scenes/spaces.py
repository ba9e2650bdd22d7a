"""Where a field lies: guessed from the cameras alone, or from what was cut out of the photographs."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from retouch.api import upload
from retouch_scenes.field import Field, Space
from retouch_scenes.meeting import Meeting, from_one_side, meeting
from retouch_scenes.views import Views, focus, mean_pose

COARSE = 48  # voxels along a side, for what silhouettes leave


def kind_of(views: Views) -> Literal["box", "frustum"]:
    """A frustum for what was photographed from one side, a box for what was walked round."""
    return "frustum" if from_one_side(views.poses.tolist(), views.lenses) else "box"


def empty(
    views: Views,
    kind: Literal["box", "frustum"],
    near: float,
    far: float,
    resolution: int,
    planes: int,
    poses: Tensor | None = None,
) -> Field:
    """A field with nothing in it.

    poses: those of the views, on the host, where its place is reckoned: each number of it decides something.
    near, far: of a frustum, in units of the world; 0 for a guess.  resolution: voxels along the longer side of a
    picture, 0 for a guess; planes: of a frustum, in depth.
    """
    side, device = max(max(lens.height, lens.width) for lens in views.lenses), views.poses.device
    here = views if poses is None else replace(views, poses=poses)
    space, (first, last) = _frustum(here, near, far) if kind == "frustum" else _box(here, views, near, far)
    if kind == "frustum":
        across = resolution or min(512, round(side * 1.25))
        wide, tall = (float(space.high[i] - space.low[i]) for i in (0, 1))
        shape, samples = (planes, *_fitted((tall, wide), across)), planes
    else:
        across = resolution or min(160, max(64, side // 2))
        deep, tall, wide = (float(space.high[i] - space.low[i]) for i in (2, 1, 0))
        shape, samples = _fitted((deep, tall, wide), across), 3 * across // 2
    grid = torch.zeros(4, *shape, dtype=torch.float32, device=device)
    if views.cut_out:
        grid[0] = -1.0  # what is not there is easier to fill than fog is to clear
    low, high, reference = (upload(each, device) for each in (space.low, space.high, space.reference))
    return Field(grid, replace(space, low=low, high=high, reference=reference), first, last, samples, views.cut_out)


def _fitted(sides: tuple[float, ...], most: int) -> tuple[int, ...]:
    return tuple(max(2, round(most * side / max(sides))) for side in sides)


def _frustum(views: Views, near: float, far: float) -> tuple[Space, tuple[float, float]]:
    """What any view sees, between near and far, as the mean camera sees it."""
    if not (near and far):
        first, last = _meeting(views).of_scene()
        near, far = near or first, far or last
    if near >= far:
        raise ValueError(f"its near, {near:g}, is not before its far, {far:g}")
    reference = torch.linalg.inv(mean_pose(views))
    corners: list[Tensor] = []
    for lens, pose in zip(views.lenses, views.poses, strict=True):
        for x, y in ((0, 0), (lens.width, 0), (0, lens.height), (lens.width, lens.height)):
            d = pose.new_tensor([(x - lens.cx) / lens.fx, (lens.cy - y) / lens.fy, -1.0])
            for z in (near, far):
                # A frustum has x and y over depth, and in place of depth its inverse.
                c = reference[:3, :3] @ (pose[:3, :3] @ d * z + pose[:3, 3]) + reference[:3, 3]
                corners.append(torch.stack([c[0], c[1], torch.ones_like(c[0])]) / -c[2])
    found = torch.stack(corners)
    if bool((found[:, 2] <= 0).any()):
        raise ValueError('its cameras see behind the one in their middle: take space="box"')
    low, high = found.amin(0), found.amax(0)
    low[2], high[2] = 1 / far, 1 / near
    return Space("frustum", low, high, reference, views.centre), (near, far)


def _box(views: Views, shown: Views, near: float, far: float) -> tuple[Space, tuple[float, float]]:
    """A box round the point that all cameras look at, cut to the silhouettes where there are any.

    shown: the same views, with their poses where their pictures are.
    """
    met = _meeting(views)
    middle, half = focus(views), 0.5 * sum(met.away) / len(met.away)
    low, high = middle - half, middle + half
    if views.cut_out:
        sides = [upload(each, shown.poses.device) for each in (low, high)]
        low, high = (each.to(low.device) for each in _silhouettes(shown, *sides))
        reach = float((high - low).norm()) / 2
        off = (views.poses[:, :3, 3] - (low + high) / 2).norm(dim=1)
        first, last = max(0.05 * float(off.min()), float(off.min()) - reach), float(off.max()) + reach
    else:
        first, last = met.of_thing(views.poses.tolist(), views.lenses)
    near, far = near or min(first, far or first), far or max(last, near)
    return Space("box", low, high, torch.eye(4).to(views.poses), views.centre), (near, far)


def _meeting(views: Views) -> Meeting:
    if found := meeting(views.poses.tolist()):
        return found
    raise ValueError("its cameras look at no one thing, so that no depth follows from them")


def _silhouettes(views: Views, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """The box of what every view shows as a part of the thing, a coarse voxel wider; the same box if that is nothing.

    Laurentini 1994, the visual hull.
    """
    whole = torch.eye(4).to(low)
    coarse = Field(torch.zeros(4, COARSE, COARSE, COARSE).to(low), Space("box", low, high, whole), 0, 1, 1, True)
    points = coarse.centres()
    inside = torch.ones(points.shape[:3], dtype=torch.bool, device=low.device)
    count = torch.zeros_like(inside, dtype=torch.long)
    for i, image in enumerate(views.images):
        if image.alpha is not None:
            lens = views.lenses[i]
            x, y, depth = views.seen(i, points)
            at = torch.stack([x / lens.width, y / lens.height], -1)[None, None].flatten(2, 4) * 2 - 1
            wide = F.max_pool2d(image.alpha[None, None], 3, 1, 1)
            there = F.grid_sample(wide, at, align_corners=False)[0, 0, 0].reshape(inside.shape)
            outside = (x < 0) | (x > lens.width) | (y < 0) | (y > lens.height) | (depth <= 0)
            inside &= (there > 0.01) | outside
            count += ~outside
    inside &= count >= len(views) / 2
    if not bool(inside.any()):
        return low, high
    one = (high - low) / (COARSE - 1)
    found = points[inside]
    return torch.maximum(found.amin(0) - one, low), torch.minimum(found.amax(0) + one, high)
