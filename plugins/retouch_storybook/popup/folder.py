"""Posed pictures as a folder, in the form of nerfstudio: transforms.json and images beside it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from retouch_storybook.popup.book import FOCAL, PopUp, angles
from retouch_storybook.popup.edits import EDITS, SCENES
from retouch_storybook.world.settings import SIDE


def write_views(folder: Path, pictures: Sequence[Image.Image], poses: Sequence[np.ndarray], focal: float) -> None:
    """Write pictures and the poses of their cameras; focal: in pixels of the pictures, whose middle is the lens's."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    frames: list[dict[str, object]] = []
    for i, (picture, pose) in enumerate(zip(pictures, poses, strict=True)):
        name = f"images/{i:03d}.png"
        picture.save(folder / name)
        frames.append({"file_path": name, "transform_matrix": np.asarray(pose, float).tolist()})
    width, height = pictures[0].size
    lens = {"w": width, "h": height, "fl_x": focal, "fl_y": focal, "cx": width / 2, "cy": height / 2}
    angle = 2 * math.atan(width / 2 / focal)
    said = {"camera_model": "OPENCV", "camera_angle_x": angle, **lens, "frames": frames}
    (folder / "transforms.json").write_text(json.dumps(said, indent=1) + "\n", "utf-8")


def write_scene(folder: Path, name: str, views: int, held: int, size: int) -> None:
    """Write a scene's views and those held out, and the truth of each of its edits in both.

    NAME/ and NAME/held/ show the scene; NAME/dog/ and NAME/dog/held/ show what an edit should make of it.  A caption
    lies beside each in caption.txt.
    """
    shown = {"": SCENES[name], **{edit.kind: edit.after for edit in EDITS.values() if edit.name.startswith(f"{name}-")}}
    for kind, scene in shown.items():
        book = PopUp(scene)
        for place, spread in (("", angles(views)), ("held", angles(held, "held out"))):
            poses = [book.pose(*each) for each in spread]
            pictures = [book.render(pose, size) for pose in poses]
            write_views(folder / name / kind / place, pictures, poses, FOCAL * size / SIDE)
        (folder / name / kind / "caption.txt").write_text(scene.caption() + "\n", "utf-8")
