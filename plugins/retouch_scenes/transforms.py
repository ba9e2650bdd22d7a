"""transforms.json: photographs and where their cameras stood, as nerfstudio, instant-ngp and NeRF-synthetic write it.

A matrix leads from the camera to the world; the camera looks along its -z, x is right and y up (OpenGL).  Loads no
torch: recipes are checked with it.
"""

from __future__ import annotations

import json
import math
import posixpath
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, NoReturn

from retouch.api.folders import DescribedFolder, FolderReader, UnfitFolder
from retouch_scenes.meeting import facing, from_one_side, front, meeting

LISTS = ("transforms.json", "transforms_train.json")  # the first that is there
BENDING = ("k1", "k2", "k3", "k4", "p1", "p2")
STRAIGHT = ("", "OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "PERSPECTIVE")
MOST = 10_000  # photographs
FAR_OFF = 1000  # sides of a picture: no lens is longer, or a thousandth of it; a middle may lie outside a cut-out
UNDISTORT = (
    "straighten them by 'colmap image_undistorter', and make transforms.json of what it writes"
    " (ns-process-data images --skip-colmap)"
)
SMALLER = (2, 4, 8)  # of images/, what nerfstudio writes into images_2/, images_4/ and images_8/
Matrix = tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Shot:
    """One photograph: its file, its camera's pose [4, 4], and its lens in pixels of the file's own size.

    mask: the file that is black where the photograph does not count; "" where all of it does.
    """

    file: str
    pose: Matrix
    fx: float
    fy: float
    cx: float
    cy: float
    height: int
    width: int
    mask: str = ""


def described(read: FolderReader) -> DescribedFolder:
    """What a folder of photographs holds.

    facing, front, one_side, meet: how the cameras look, as `meeting` has it.
    Between which depths there is something, as far as that tells: scene_near, scene_far for what was photographed from
    one side, thing_near, thing_far for what was walked round.
    """
    name, found = list_of(read), shots(read)
    poses = [shot.pose for shot in found]
    facts = {
        "views": len(found),
        "height": max(shot.height for shot in found),
        "width": max(shot.width for shot in found),
        "facing": round(facing(poses), 4),
        "front": round(front(poses, found), 4),
        "one_side": int(from_one_side(poses, found)),
    }
    met = meeting(poses)
    scene, thing = (met.of_scene(), met.of_thing(poses, found)) if met else ((0, 0), (0, 0))
    facts |= {"meet": int(met is not None), "scene_near": scene[0], "scene_far": scene[1]}
    facts |= {"thing_near": thing[0], "thing_far": thing[1]}
    masks = dict.fromkeys(shot.mask for shot in found if shot.mask)  # one may be of many
    plain = [shot.file for shot in found if not read.alpha(shot.file)]
    doubts = ()
    if 0 < len(plain) < len(found):
        what = (
            f"{len(plain)} of {len(found)} photographs have no transparency, such as '{plain[0]}': all of them counts"
        )
        doubts = ((what, "cut the thing out of these as well, or take the transparency off the others"),)
    return DescribedFolder((name, *(shot.file for shot in found), *masks), facts, doubts)


def list_of(read: FolderReader) -> str:
    """The name of the file that says where the cameras stood."""
    found = next((name for name in LISTS if read.there(name)), None)
    if found is None:
        mend = "make it with nerfstudio's 'ns-process-data' or instant-ngp's 'colmap2nerf.py'"
        raise UnfitFolder(f"it has no {LISTS[0]}, which says where the cameras stood", mend)
    return found


def shots(read: FolderReader) -> list[Shot]:
    """Every photograph of a folder, in the order of its list.  Raises UnfitFolder."""
    name = list_of(read)
    said = _object(_json(read.text(name), name), name)
    frames = said.get("frames")
    if not isinstance(frames, list) or len(frames) < 2:
        mend = 'write "frames": [{"file_path": …}, …]: a thing has to be seen from two places at least'
        raise UnfitFolder(f"{name} lists fewer than two frames", mend)
    if len(frames) > MOST:
        raise UnfitFolder(f"{name} lists {len(frames)} frames, more than {MOST}", "give it fewer pictures")
    found = [_shot(read, said, _object(frame, f"frame {i + 1}"), i) for i, frame in enumerate(frames)]
    twice = [file for file, count in Counter(shot.file for shot in found).items() if count > 1]
    if twice:
        raise UnfitFolder(f"it lists '{twice[0]}' twice", "list each picture once", "RT572")
    return found


def _json(text: str, name: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as err:
        raise UnfitFolder(f"{name} is not JSON: {err}", "make it anew") from err


def _object(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise UnfitFolder(f"{name} is no JSON object", "write {…}")
    return value


def _shot(read: FolderReader, everywhere: Mapping[str, Any], frame: Mapping[str, Any], i: int) -> Shot:
    file = _file(read, frame, i)
    own = {**everywhere, **frame}  # a frame's own lens goes before the one of all
    _check_straight(own, file)
    height, width = read.size(file)
    mask = _mask(read, frame, file, (height, width))
    return Shot(file, _pose(frame.get("transform_matrix"), file), *_lens(own, file, height, width), height, width, mask)


def _file(read: FolderReader, frame: Mapping[str, Any], i: int) -> str:
    path = frame.get("file_path")
    if not isinstance(path, str) or not path:
        raise UnfitFolder(f"frame {i + 1} has no file_path", 'write "file_path": "images/0001.png"', "RT572")
    path = posixpath.normpath(path.replace("\\", "/"))
    # NeRF-synthetic leaves the ending out; a dot may also stand in a name.
    bare = PurePosixPath(path).suffix == "" or not read.there(path)
    if bare and read.there(f"{path}.png"):
        return f"{path}.png"
    return next((name for name in (path, *_smaller(path)) if read.there(name)), path)


def _mask(read: FolderReader, frame: Mapping[str, Any], file: str, size: tuple[int, int]) -> str:
    """Of the frame's mask and the smaller copies of it, the one that has the picture's size."""
    path = frame.get("mask_path")
    if path is None:
        return ""
    if not isinstance(path, str) or not path:
        raise UnfitFolder(f"the mask_path of {file} is {path!r}", 'write "mask_path": "masks/0001.png"', "RT572")
    path = posixpath.normpath(path.replace("\\", "/"))
    there = [name for name in (path, *_smaller(path)) if read.there(name)]
    if found := next((name for name in there if read.size(name) == size), None):
        return found
    height, width = read.size(there[0] if there else path)
    what = f"the mask '{path}' has {width} by {height} pixels, and '{file}' has {size[1]} by {size[0]}"
    raise UnfitFolder(what, "give it a mask of its own size", "RT572")


def _smaller(path: str) -> list[str]:
    """Where nerfstudio lays the same picture with fewer pixels, the largest first."""
    folder, slash, name = path.rpartition("/")
    return [f"{folder}_{part}/{name}" for part in SMALLER] if slash else []


def _check_straight(own: Mapping[str, Any], file: str) -> None:
    kind = own.get("camera_model", "")
    if own.get("is_fisheye") or (isinstance(kind, str) and kind.upper() not in STRAIGHT):
        what = f"{file} was taken by a camera of the kind {kind or 'fisheye'}"
        raise UnfitFolder(what, UNDISTORT, "RT571")
    for name in BENDING:
        if abs(_number(own, name, file, 0.0)) > 1e-6:
            raise UnfitFolder(f"{name} of {file} is {own[name]:g}", UNDISTORT, "RT571")


def _pose(said: Any, file: str) -> Matrix:
    def bad(what: str) -> NoReturn:
        raise UnfitFolder(f"the transform_matrix of {file} {what}", "write the matrix from camera to world", "RT573")

    if not (isinstance(said, list) and len(said) in (3, 4) and all(isinstance(r, list) and len(r) == 4 for r in said)):
        bad("is not four rows of four numbers")
    if not all(_is_number(each) for row in said for each in row):
        bad("holds something else than numbers")
    rows = [[float(each) for each in row] for row in said]
    if len(rows) == 4 and any(abs(a - b) > 1e-4 for a, b in zip(rows[3], (0, 0, 0, 1), strict=True)):
        bad("does not end in the row 0 0 0 1")
    axes = [[row[j] for row in rows[:3]] for j in range(3)]
    dots = [sum(a * b for a, b in zip(axes[i], axes[j], strict=True)) for i in range(3) for j in range(i, 3)]
    if any(abs(dot - want) > 0.02 for dot, want in zip(dots, (1, 0, 0, 1, 0, 1), strict=True)):
        bad("is no rotation: its first three columns are not of length 1 and at right angles")
    (a, b, c), (d, e, f), (g, h, i) = axes
    if a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g) < 0:  # the determinant
        bad("mirrors the world: turn the sign of one axis")
    return (*(tuple(row) for row in rows[:3]), (0.0, 0.0, 0.0, 1.0))


def _lens(own: Mapping[str, Any], file: str, height: int, width: int) -> tuple[float, float, float, float]:
    """fx, fy, cx, cy in pixels of the file, which may be smaller than the picture that they are told for."""

    def bad(what: str, mend: str) -> NoReturn:
        raise UnfitFolder(what, mend, "RT574")

    w, h = _number(own, "w", file, width), _number(own, "h", file, height)
    if w <= 0 or h <= 0 or abs(width / w - height / h) > 0.02 * width / w:
        mend = "write w and h of the pictures that fl_x, fl_y, cx and cy are told for"
        bad(f"{file} has {width} by {height} pixels, and w and h say {w:g} by {h:g}", mend)
    fx = _number(own, "fl_x", file, 0.0) or _by_angle(own, "camera_angle_x", file, w)
    fy = _number(own, "fl_y", file, 0.0) or _by_angle(own, "camera_angle_y", file, h) or fx
    fx = fx or fy
    if fx <= 0 or fy <= 0:
        bad(f"{file} has no focal length", "write fl_x and fl_y in pixels, or camera_angle_x in radians")
    cx, cy = _number(own, "cx", file, w / 2), _number(own, "cy", file, h / 2)
    # Told for pictures of w by h, which may have been made smaller since.
    across, down = width / w, height / h
    fx, fy, cx, cy = fx * across, fy * down, cx * across, cy * down
    for name, value, side in (("fl_x", fx, width), ("fl_y", fy, height), ("cx", cx, width), ("cy", cy, height)):
        # The middle may lie anywhere near, at 0 too; a focal length has no 0.
        least = side / FAR_OFF if name.startswith("fl") else 0
        if not least <= abs(value) <= side * FAR_OFF:
            mend = "write the focal length and the middle in pixels, of pictures of w by h"
            bad(f"{name} of {file} is {value:g} where the picture has {side} pixels", mend)
    return fx, fy, cx, cy


def _by_angle(own: Mapping[str, Any], name: str, file: str, side: float) -> float:
    angle = _number(own, name, file, 0.0)
    if angle and not 0 < angle < math.pi:
        mend = "write the whole angle that the picture spans, in radians"
        raise UnfitFolder(f"{name} of {file} is {angle:g}", mend, "RT574")
    return side / 2 / math.tan(angle / 2) if angle else 0.0


def _number(own: Mapping[str, Any], name: str, file: str, otherwise: float) -> float:
    said = own.get(name)
    if said is None:
        return otherwise
    if not _is_number(said):
        raise UnfitFolder(f"{name} of {file} is {said!r}, and is a number", "make transforms.json anew", "RT574")
    return float(said)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12  # no NaN, no infinity
