"""A way round what was photographed, and the film of it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional as F

from retouch.api import Ending, Image, Outbox, Range, stage
from retouch_scenes.field import Field
from retouch_scenes.rendering import image_of
from retouch_scenes.spaces import kind_of
from retouch_scenes.views import Views, focus, mean_pose

WIDE = 1.4  # deviations of the cameras' places: what an even spread over an ellipse has is 0.7 of its axis


@stage("save", "turntable")
def save_turntable(
    field: Field,
    views: Views,
    outbox: Outbox,
    *,
    path: Annotated[str, Ending(".webp")],
    frames: Annotated[int, Range(2, 1000, "pictures")] = 24,
    scale: Annotated[float, Range(0.1, 16)] = 1.0,
    milliseconds: Annotated[int, Range(10, 10_000, "ms")] = 80,
    quality: Annotated[int, Range(1, 100, "percent")] | None = None,
) -> None:
    """Write a film of the field, which a camera goes round: an animated WebP that has no end.

    Of what was photographed from one side, it swings as wide as the cameras stood; else it goes round once.

    path: the file.
    frames: how many pictures; the way is the same.
    scale: of the photographs' size.
    milliseconds: how long each is shown.
    quality: of the file; without one it loses nothing and is some ten times larger.
    """
    views = views.about(field.space.centre)
    way = round_trip(views, frames, 2 / (1 / field.near + 1 / field.far))
    lens = views.lenses[0].scaled(scale)
    blank = Image(torch.zeros(3, lens.height, lens.width, device=way.device))
    along = Views((blank,) * frames, way, (lens,) * frames, tuple(str(k) for k in range(frames)))
    film = [replace(image_of(field, along, k), alpha=None) for k in range(frames)]
    outbox.animation(path, film, milliseconds, quality)


def round_trip(views: Views, count: int, depth: float | None = None) -> Tensor:
    """Poses on a way that ends where it begins, each looking at what all views look at.  [count, 4, 4]

    depth: of that, where the views look along parallel lines.
    """
    at, middle, mean = views.poses[:, :3, 3], focus(views, depth), mean_pose(views)
    up = F.normalize(views.poses[:, :3, 1].mean(0), dim=0)
    away = (at - middle).norm(dim=1).mean()
    angles = [2 * math.pi * k / count for k in range(count)]
    if kind_of(views) == "frustum":
        across = [((at - mean[:3, 3]) @ mean[:3, i]).std(unbiased=False) * WIDE for i in (0, 1)]
        eyes = [
            mean[:3, 3] + across[0] * math.sin(a) * mean[:3, 0] + across[1] * math.cos(a) * mean[:3, 1] for a in angles
        ]
    else:
        height = ((at - middle) @ up).mean()
        level = (away.square() - height.square()).clamp(min=0.01 * float(away) ** 2).sqrt()
        front = F.normalize(at[0] - middle - ((at[0] - middle) @ up) * up, dim=0)
        side = torch.linalg.cross(up, front)
        eyes = [middle + up * height + level * (math.cos(a) * front + math.sin(a) * side) for a in angles]
    return torch.stack([looking(eye, middle, up) for eye in eyes])


def looking(eye: Tensor, target: Tensor, up: Tensor) -> Tensor:
    """The pose of a camera at a place that looks at another.  [4, 4]"""
    back = F.normalize(eye - target, dim=0)
    right = F.normalize(torch.linalg.cross(up, back), dim=0)
    pose = torch.eye(4, dtype=eye.dtype, device=eye.device)
    pose[:3] = torch.stack([right, torch.linalg.cross(back, right), back, eye], 1)
    return pose
