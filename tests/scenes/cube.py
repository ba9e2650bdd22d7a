"""A cube of known colours, seen from all around or from one side: pictures with truth, made by arithmetic alone."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image as Pillow
from torch import Tensor

from retouch.api import Image
from retouch_scenes.turntable import looking
from retouch_scenes.views import Lens, Views

HALF = 0.7
FACES = torch.tensor(
    [[0.9, 0.2, 0.2], [0.2, 0.8, 0.3], [0.2, 0.3, 0.9], [0.9, 0.8, 0.2], [0.8, 0.3, 0.8], [0.2, 0.8, 0.8]]
)  # at -x +x -y +y -z +z
UP = torch.tensor([0.0, 0.0, 1.0])


def eyes(count: int, shift: float = 0.0, *, around: bool = True) -> list[Tensor]:
    """Places evenly spread on a sphere, or on a part of it, 4 away from the cube's middle."""
    golden = (1 + 5**0.5) / 2
    found: list[Tensor] = []
    for i in range(count):
        turn = 2 * math.pi * ((i + shift) / golden % 1)
        high = math.asin(-0.3 + 1.2 * (i + 0.5) / count)
        if not around:
            turn, high = 0.5 * math.sin(turn), 0.3 * math.sin(5 * turn)
        found.append(
            4 * torch.tensor([math.cos(turn) * math.cos(high), math.sin(turn) * math.cos(high), math.sin(high)])
        )
    return found


def cube_views(
    count: int, side: int = 32, shift: float = 0.0, *, around: bool = True, alpha: bool = True, faces: Tensor = FACES
) -> Views:
    """Posed pictures of the cube before white, with alpha or without."""
    lens = Lens(1.375 * side, 1.375 * side, side / 2, side / 2, side, side)
    poses = torch.stack([looking(eye, torch.zeros(3), UP) for eye in eyes(count, shift, around=around)])
    blank = Views((Image(torch.zeros(3, side, side)),) * count, poses, (lens,) * count, _names(count))
    images = [cube_picture(blank, i, faces) for i in range(count)]
    return blank.showing([each if alpha else Image(each.data) for each in images])


def _names(count: int) -> tuple[str, ...]:
    return tuple(f"images/{i:03d}.png" for i in range(count))


def cube_picture(views: Views, i: int, faces: Tensor = FACES) -> Image:
    """The exact picture, of four by four rays a pixel."""
    lens = views.lenses[i].scaled(4)
    fine = Views((Image(torch.zeros(3, lens.height, lens.width)),), views.poses[i : i + 1], (lens,), ("",))
    o, d = fine.rays(0)
    first, second = (-HALF - o) / d, (HALF - o) / d
    near, axis = torch.minimum(first, second).max(-1)
    hit = near < torch.maximum(first, second).min(-1).values
    from_high = (d.gather(-1, axis[:, None])[:, 0] < 0).long()
    colour = faces[axis * 2 + from_high]
    data = torch.where(hit[:, None], colour, torch.ones(3)).T.reshape(3, lens.height, lens.width)
    shrink = lambda each: torch.nn.functional.avg_pool2d(each[None], 4)[0]  # noqa: E731
    return Image(shrink(data), shrink(hit.float().reshape(1, lens.height, lens.width))[0])


def write(folder: Path, views: Views, **more: Any) -> Path:
    """The views as a folder in nerfstudio's form; `more` goes beside, or takes the place of what is there."""
    frames = []
    for image, name, pose in zip(views.images, views.names, views.poses, strict=True):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        parts = [image.data]
        if image.alpha is not None:
            own = (image.data - (1 - image.alpha)) / image.alpha.clamp(min=1e-3)
            parts = [own.clamp(0, 1), image.alpha[None]]
        data = (torch.cat(parts).permute(1, 2, 0) * 255).round().byte().numpy()
        Pillow.fromarray(np.ascontiguousarray(data)).save(path)
        frames.append({"file_path": name, "transform_matrix": pose.tolist()})
    lens = views.lenses[0]
    said = {"w": lens.width, "h": lens.height, "fl_x": lens.fx, "fl_y": lens.fy, "cx": lens.cx, "cy": lens.cy}
    (folder / "transforms.json").write_text(json.dumps({**said, "frames": frames, **more}))
    return folder
