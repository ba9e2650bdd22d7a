"""Photographs with their cameras."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from retouch.api import Image, upload_numbers
from retouch_scenes.meeting import meeting

# What is known of photographs and their cameras before anything runs, and of what a field shows from there: as
# `transforms.described` has it.
SEEN = {
    "views": "views",
    "height": "height",
    "width": "width",
    "facing": "facing",
    "front": "front",
    "one_side": "one_side",
    "meet": "meet",
    "scene_near": "scene_near",
    "scene_far": "scene_far",
    "thing_near": "thing_near",
    "thing_far": "thing_far",
}


@dataclass(frozen=True, slots=True)
class Lens:
    """A pinhole, in pixels: focal lengths, the middle, and the picture's size."""

    fx: float
    fy: float
    cx: float
    cy: float
    height: int
    width: int

    def scaled(self, factor: float) -> Lens:
        """The same camera with more or fewer pixels."""
        height, width = max(1, round(self.height * factor)), max(1, round(self.width * factor))
        down, across = height / self.height, width / self.width
        return Lens(self.fx * across, self.fy * down, self.cx * across, self.cy * down, height, width)


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """Pictures of one thing, which may differ in size, and where each was taken.

    images: with alpha where the thing was cut out; colours are then as they are over white.
    poses: Tensor  # [N, 4, 4], float32, camera to world; the camera looks along -z, x is right, y up
    counted: of each, which pixels a field has to explain, [H, W] bool; none at all where all of them.
    centre: the point of the photographs' own world that places are counted from here; exact, where float32 is not.
    """

    images: tuple[Image, ...]
    poses: Tensor
    lenses: tuple[Lens, ...]
    names: tuple[str, ...]
    counted: tuple[Tensor, ...] = ()
    centre: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        """Hold the parts together."""
        counts = {len(self.images), len(self.poses), len(self.lenses), len(self.names)}
        counts |= {len(self.counted)} if self.counted else set()
        if len(counts) > 1:
            raise ValueError(f"pictures, poses, lenses and names of views are as many, and these are {sorted(counts)}")
        for image, lens in zip(self.images, self.lenses, strict=True):
            if image.size != (lens.height, lens.width):
                raise ValueError(f"a view of {list(image.size)} pixels has a lens for {[lens.height, lens.width]}")

    def __len__(self) -> int:
        """How many there are."""
        return len(self.names)

    @property
    def cut_out(self) -> bool:
        """Whether the thing was cut out of its surroundings in any view."""
        return any(image.alpha is not None for image in self.images)

    def showing(self, images: Sequence[Image]) -> Views:
        """The same cameras with other pictures."""
        return replace(self, images=tuple(images))

    def some(self, which: Sequence[int]) -> Views:
        """These of the views, in this order."""
        return Views(
            tuple(self.images[k] for k in which),
            torch.stack([self.poses[k] for k in which]),
            tuple(self.lenses[k] for k in which),
            tuple(self.names[k] for k in which),
            tuple(self.counted[k] for k in which) if self.counted else (),
            self.centre,
        )

    def about(self, centre: tuple[float, float, float]) -> Views:
        """The same with places counted from another point, such as those of the field that they look at."""
        if centre == self.centre:
            return self
        poses, gap = self.poses.clone(), [a - b for a, b in zip(self.centre, centre, strict=True)]
        poses[:, :3, 3] = (poses[:, :3, 3].double() + upload_numbers(gap, torch.float64, poses.device)).to(poses)
        return replace(self, poses=poses, centre=centre)

    def rays(self, i: int) -> tuple[Tensor, Tensor]:
        """Origins and directions of all rays of a view, row by row; a direction is as long as its depth is 1.

        [H * W, 3] each
        """
        lens, pose = self.lenses[i], self.poses[i]
        like = {"dtype": pose.dtype, "device": pose.device}
        rows, columns = torch.arange(lens.height, **like) + 0.5, torch.arange(lens.width, **like) + 0.5
        y, x = torch.meshgrid((lens.cy - rows) / lens.fy, (columns - lens.cx) / lens.fx, indexing="ij")
        d = torch.stack([x, y, -torch.ones_like(x)], -1).reshape(-1, 3) @ pose[:3, :3].T
        return pose[:3, 3].expand_as(d), d

    def seen(self, i: int, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Where a view sees points of the world: x and y in pixels, and depth.  [..., 3] -> [...] each"""
        lens, pose = self.lenses[i], self.poses[i]
        c = (points - pose[:3, 3]) @ pose[:3, :3]
        depth = -c[..., 2]
        z = torch.where(depth.abs() < 1e-6, torch.full_like(depth, 1e-6), depth)
        return lens.fx * c[..., 0] / z + lens.cx, lens.cy - lens.fy * c[..., 1] / z, depth


def focus(views: Views, depth: float | None = None) -> Tensor:
    """The point that is nearest to all optical axes; where they do not meet, one before the mean camera.  [3]

    depth: how far before it; without one, ValueError.
    """
    if met := meeting(views.poses.tolist()):
        return views.poses.new_tensor(met.middle)
    if depth is None:
        raise ValueError("its cameras look at no one thing, so that no depth follows from them")
    mean = mean_pose(views)
    return mean[:3, 3] - depth * mean[:3, 2]


def mean_pose(views: Views) -> Tensor:
    """The camera in the middle of all.  [4, 4]"""
    poses = views.poses
    back = F.normalize(poses[:, :3, 2].mean(0), dim=0)
    right = F.normalize(torch.linalg.cross(poses[:, :3, 1].mean(0), back), dim=0)
    found = torch.eye(4, dtype=poses.dtype, device=poses.device)
    found[:3] = torch.stack([right, torch.linalg.cross(back, right), back, poses[:, :3, 3].mean(0)], 1)
    return found
