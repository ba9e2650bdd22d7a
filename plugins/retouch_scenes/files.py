"""Folders of photographs, from and to files."""

from __future__ import annotations

import json
from typing import Annotated

import torch
from torch import Tensor

from retouch.api import Ending, Folder, Image, Need, Outbox, Pattern, stage, upload_numbers
from retouch_scenes.field import Field
from retouch_scenes.meeting import centre_of
from retouch_scenes.transforms import Shot, shots
from retouch_scenes.views import SEEN, Lens, Views

FolderPath = Annotated[str, Pattern(r".*[/\\]", "a folder, with / at its end", "cat/")]


@stage(
    "open",
    "views",
    folder="retouch_scenes.transforms:described",
    facts={**SEEN, "shown": "0"},
)
def open_views(folder: Folder, *, path: FolderPath, caption: str = "") -> Views:
    """Read photographs of one thing and where their cameras stood, as transforms.json of the folder says.

    path: the folder, with / at its end, as nerfstudio, instant-ngp and NeRF-synthetic write it.
    caption: what the photographs show; edits replace words of it.
    """
    found = shots(folder)
    images = tuple(_over_white(folder.image(shot.file)) for shot in found)
    centre = centre_of([shot.pose for shot in found])
    near = [[[*row[:3], row[3] - at] for row, at in zip(shot.pose, (*centre, 0.0), strict=True)] for shot in found]
    poses = upload_numbers(near, torch.float32, images[0].data.device)
    lenses = tuple(_lens(shot) for shot in found)
    counted = tuple(_counted(folder, shot, poses.device) for shot in found) if any(shot.mask for shot in found) else ()
    if counted and not any(bool(each.any()) for each in counted):
        raise ValueError("the masks of its transforms.json are black everywhere, so that no pixel counts")
    return Views(images, poses, lenses, tuple(shot.file for shot in found), counted, centre)


def _counted(folder: Folder, shot: Shot, device: torch.device) -> Tensor:
    """Where a photograph's mask is not black, as nerfstudio reads it.  [H, W] bool"""
    if not shot.mask:
        return torch.ones(shot.height, shot.width, dtype=torch.bool, device=device)
    return folder.lit(shot.mask)


def _lens(shot: Shot) -> Lens:
    return Lens(shot.fx, shot.fy, shot.cx, shot.cy, shot.height, shot.width)


def _over_white(image: Image) -> Image:
    if image.alpha is None:
        return image
    return Image(image.data * image.alpha + (1 - image.alpha), image.alpha)


@stage(
    "save",
    "views",
    needs=(
        Need(
            "shown or not field",
            "is given the photographs as they were taken, not what the field shows",
            "write 'render views' before it; or, for the photographs, 'save views' in the flow that opened them",
        ),
    ),
)
def save_views(
    views: Views, outbox: Outbox, field: Field | None = None, *, path: Annotated[str, Ending(".json")]
) -> None:
    """Write the views as transforms.json, and their pictures into a folder beside it: what nerfstudio opens.

    path: the list, such as "dog/transforms.json"; its folder is what other programs are given.
    """
    del field  # which tells the check alone whose views are meant
    names = [f"{i:04d}.png" for i in range(len(views))]
    images = {name: _cut_out(image) for name, image in zip(names, views.images, strict=True)}
    with outbox.album(path, images) as folder:
        frames = [
            {"file_path": f"{folder}/{name}", "transform_matrix": _in_the_world(pose, views), **_told(lens)}
            for name, pose, lens in zip(names, views.poses.cpu(), views.lenses, strict=True)
        ]
        said = {"camera_model": "OPENCV", "orientation_override": "none", "frames": frames}
        recipe = outbox.stamp(path)
        with outbox.file(path) as file:
            file.write(json.dumps(said | ({"retouch": recipe} if recipe else {}), indent=1).encode())


def _in_the_world(pose: Tensor, views: Views) -> list[list[float]]:
    """A pose with its place in the photographs' own world."""
    return [[*row[:3], row[3] + at] for row, at in zip(pose.tolist(), (*views.centre, 0.0), strict=True)]


def _told(lens: Lens) -> dict[str, float]:
    return {"fl_x": lens.fx, "fl_y": lens.fy, "cx": lens.cx, "cy": lens.cy, "w": lens.width, "h": lens.height}


def _cut_out(image: Image) -> Image:
    """The colours that are over white as they are by themselves."""
    if image.alpha is None:
        return image
    own = (image.data - (1 - image.alpha)) / image.alpha.clamp(min=1e-3)
    return Image(own.clamp(0, 1), image.alpha)
