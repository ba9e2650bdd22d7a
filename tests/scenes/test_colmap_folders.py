"""Folders as nerfstudio's `ns-process-data` and instant-ngp's `colmap2nerf.py` make them of what COLMAP found.

COLMAP knows of each picture a matrix from world to camera, whose z looks forward and whose y looks down; both programs
turn the camera, then each moves the world in its own way.
"""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from retouch.api.checking import Environment, check, load_registry
from retouch.graph.folders import FilesBelow
from retouch.run.files.outbox import FileIn, FolderIn
from retouch_scenes.files import open_views
from retouch_scenes.transforms import described, shots
from tests.scenes.cube import cube_views, write

REGISTRY = load_registry()
RECIPE = 'open views "scan/" caption="a cube" | fit field | save field "cube.safetensors"'
POINT = np.array([0.7, -0.7, 0.7, 1.0])  # a corner of the cube, in COLMAP's world
SIDE = 8
# The lines that the two programs write for each of COLMAP's cameras that bend nothing.
PINHOLE = {
    "w": SIDE,
    "h": SIDE,
    "fl_x": 11.0,
    "fl_y": 11.0,
    "cx": 4.0,
    "cy": 4.0,
    "k1": 0.0,
    "k2": 0.0,
    "p1": 0.0,
    "p2": 0.0,
}
OPENCV = {**PINHOLE, "k1": 0.0045691, "k2": -0.0231286, "p1": -0.00123982, "p2": 0.00272224}


def colmap(views):
    """World to camera of each view, as images.txt has them.  [N, 4, 4]"""
    return np.linalg.inv(views.poses.double().numpy() @ np.diag([1.0, -1, -1, 1]))


def nerfstudio(folder, *, camera=PINHOLE, per_frame=False, alpha=True, moved=True):
    """A folder of `ns-process-data images`: pictures at four sizes, and the world turned by `applied_transform`."""
    views = cube_views(4, side=SIDE, alpha=alpha)
    write(folder, views)
    turn = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0]]) if moved else np.eye(4)[:3]
    frames = []
    for i, (found, old) in enumerate(zip(colmap(views), views.names, strict=True)):
        name = f"images/frame_{i + 1:05d}.png"
        (folder / old).rename(folder / name)
        for part in (2, 4, 8):
            small = folder / name.replace("images/", f"images_{part}/")
            small.parent.mkdir(exist_ok=True)
            Pillow.open(folder / name).resize((SIDE // part, SIDE // part)).save(small)
        pose = np.eye(4)
        pose[:3] = turn @ np.linalg.inv(found) @ np.diag([1.0, -1, -1, 1])
        own = {**camera, "camera_model": "OPENCV"} if per_frame else {}
        frames.append({"file_path": name, "transform_matrix": pose.tolist(), "colmap_im_id": i + 1, **own})
    said = {} if per_frame else {**camera, "camera_model": "OPENCV"}
    said |= {"frames": frames, "ply_file_path": "sparse_pc.ply"}
    if moved:
        said["applied_transform"] = turn.tolist()
    (folder / "transforms.json").write_text(json.dumps(said, indent=4))
    (folder / "sparse_pc.ply").write_text("ply\n")
    return turn @ POINT


def instant_ngp(folder, *, camera=PINHOLE, per_frame=False, kept=False):
    """A folder of `colmap2nerf.py`: the world turned upright, its middle moved to 0, its cameras 4 away on average."""
    views = cube_views(4, side=SIDE)
    write(folder, views)
    point, poses = POINT[:3], []
    for found in colmap(views):
        pose = np.linalg.inv(found) @ np.diag([1.0, -1, -1, 1])
        poses.append(pose if kept else np.array([[0.0, 1, 0, 0], [1, 0, 0, 0], [0, 0, -1, 0], [0, 0, 0, 1]]) @ pose)
    if not kept:
        point = np.array([point[1], point[0], -point[2]])
        middle = np.mean([pose[:3, 3] for pose in poses], 0) * 0.1
        size = 4 / np.mean([np.linalg.norm(pose[:3, 3] - middle) for pose in poses])
        for pose in poses:
            pose[:3, 3] = (pose[:3, 3] - middle) * size
        point = (point - middle) * size
    w, h = float(camera["w"]), float(camera["h"])  # whole numbers of COLMAP, written as others
    angles = {f"camera_angle_{x}": 2 * np.arctan(side / 2 / camera[f"fl_{x}"]) for x, side in (("x", w), ("y", h))}
    own = {**angles, **camera, "w": w, "h": h, "k3": 0, "k4": 0, "is_fisheye": False}
    frames = [
        {"file_path": f"./{name}", "sharpness": 41.5, "transform_matrix": pose.tolist(), **(own if per_frame else {})}
        for name, pose in zip(views.names, poses, strict=True)
    ]
    said = {**({} if per_frame else own), "aabb_scale": 16, "frames": frames}
    (folder / "transforms.json").write_text(json.dumps(said, indent=2))
    return point


def said(folder):
    return check(RECIPE, Environment(REGISTRY, folder.parent, pictures=())).errors


def opened(folder):
    """The views that the stage makes of it."""
    files = set(described(FilesBelow(folder)).files)
    return open_views(FolderIn(FileIn(torch.device("cpu")), folder, files), path="scan/")


def told(folder, change):
    """Write the list anew, changed."""
    path = folder / "transforms.json"
    list_ = json.loads(path.read_text())
    change(list_)
    path.write_text(json.dumps(list_))


@pytest.mark.parametrize("per_frame", [False, True])
@pytest.mark.parametrize("way", [{}, {"moved": False}, {"alpha": False}, "ngp", "ngp, kept"])
def test_a_corner_lies_where_every_picture_shows_it_in_the_world_that_the_program_made(tmp_path, way, per_frame):
    folder = tmp_path / "scan"
    if isinstance(way, dict):
        point = nerfstudio(folder, per_frame=per_frame, **way)
    else:
        point = instant_ngp(folder, per_frame=per_frame, kept="kept" in way)
    assert not said(folder)
    views = opened(folder)
    assert len(views) == 4
    assert views.cut_out == (way != {"alpha": False})
    sources = cube_views(4, side=SIDE)
    for i in range(4):
        here = torch.stack(views.seen(i, torch.tensor(point).float())[:2])
        there = torch.stack(sources.seen(i, torch.tensor(POINT[:3]).float())[:2])
        assert torch.allclose(here, there, atol=1e-3)
        assert torch.allclose(views.images[i].data, sources.images[i].data, atol=0.02)


@pytest.mark.parametrize("per_frame", [False, True])
@pytest.mark.parametrize("make", [nerfstudio, instant_ngp])
def test_what_colmap_found_bent_is_refused_with_the_way_to_straighten_it(tmp_path, make, per_frame):
    make(tmp_path / "scan", camera=OPENCV, per_frame=per_frame)
    (found,) = said(tmp_path / "scan")
    assert found.code == "RT571"
    assert "k1 of images/" in found.message
    assert "colmap image_undistorter" in found.help
    assert "--skip-colmap" in found.help


@pytest.mark.parametrize("kind", ["OPENCV_FISHEYE", "EQUIRECTANGULAR"])
def test_other_cameras_of_nerfstudio_are_refused(tmp_path, kind):
    nerfstudio(tmp_path / "scan")
    told(tmp_path / "scan", lambda list_: list_.update(camera_model=kind))
    assert [found.code for found in said(tmp_path / "scan")] == ["RT571"]


@pytest.mark.parametrize("kept", [2, 4])
def test_of_smaller_copies_the_largest_that_is_there_is_read_and_the_lens_with_it(tmp_path, kept):
    """As it is told, the list names images/; who copies a scan often leaves the large ones behind."""
    folder = tmp_path / "scan"
    point = nerfstudio(folder)
    for part in ("images", *(f"images_{part}" for part in (2, 4, 8) if part < kept)):
        shutil.rmtree(folder / part)
    assert not said(folder)
    views, sources = opened(folder), cube_views(4, side=SIDE)
    assert views.names[0] == f"images_{kept}/frame_00001.png"
    assert {(lens.width, lens.fx, lens.cy) for lens in views.lenses} == {(SIDE // kept, 11 / kept, 4 / kept)}
    x, _, _ = views.seen(0, torch.tensor(point).float())
    there, _, _ = sources.seen(0, torch.tensor(POINT[:3]).float())
    assert float(x) * kept == pytest.approx(float(there), abs=1e-3)


def test_a_list_may_name_smaller_copies_itself(tmp_path):
    folder = tmp_path / "scan"
    nerfstudio(folder)

    def halved(list_):
        for frame in list_["frames"]:
            frame["file_path"] = frame["file_path"].replace("images/", "images_2/")

    told(folder, halved)
    assert {(shot.width, shot.fx, shot.cx) for shot in shots(FilesBelow(folder))} == {(4, 5.5, 2)}


def test_pictures_that_colmap_could_not_place_lie_there_unlisted(tmp_path):
    folder = tmp_path / "scan"
    nerfstudio(folder)
    told(folder, lambda list_: list_["frames"].pop(1))
    assert not said(folder)
    assert [shot.file for shot in shots(FilesBelow(folder))] == [f"images/frame_{i:05d}.png" for i in (1, 3, 4)]


def test_a_listed_picture_that_is_nowhere_is_told_by_the_name_in_the_list(tmp_path):
    folder = tmp_path / "scan"
    nerfstudio(folder)
    for part in ("images", "images_2", "images_4", "images_8"):
        (folder / part / "frame_00002.png").unlink()
    (found,) = said(folder)
    assert found.code == "RT572"
    assert "'images/frame_00002.png' is not there" in found.message


def test_pictures_above_the_folder_are_refused(tmp_path):
    """`colmap2nerf.py` names them from where it ran, which may be beside them."""
    folder = tmp_path / "scan"
    instant_ngp(folder)
    told(folder, lambda list_: [frame.update(file_path="./../images/000.png") for frame in list_["frames"][:1]])
    (found,) = said(folder)
    assert found.code == "RT572"
    assert "outside" in found.message
