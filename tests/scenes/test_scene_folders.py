"""transforms.json of several programs means what they mean by it, and what cannot be meant is told at check."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch
from PIL import Image as Pillow

from retouch.api.checking import Environment, check, load_registry
from retouch.api.folders import UnfitFolder
from retouch.graph.folders import FilesBelow
from retouch.run.files.outbox import FileIn, FolderIn
from retouch_scenes.files import open_views
from retouch_scenes.fitting import Rays
from retouch_scenes.transforms import described, shots
from retouch_scenes.turntable import round_trip
from retouch_scenes.views import focus
from tests.scenes.cube import cube_views, write

RECIPE = 'scene = open views "cube/" caption="a cube"\nscene | fit field | save field "cube.safetensors"'
REGISTRY = load_registry()


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path / "cube", cube_views(3, side=8))


def said(folder, recipe=RECIPE):
    return check(recipe, Environment(REGISTRY, folder.parent, pictures=()))


def changed(folder, first=None, **everywhere):
    """The folder with other words in its list, or in that of its first frame; None takes a word out."""
    path = folder / "transforms.json"
    told = json.loads(path.read_text())
    for where, more in ((told, everywhere), (told["frames"][0], first or {})):
        kept = {name: value for name, value in {**where, **more}.items() if value is not None}
        where.clear()
        where.update(kept)
    path.write_text(json.dumps(told))
    return folder


def test_what_was_written_is_read_again(folder):
    found = shots(FilesBelow(folder))
    views = cube_views(3, side=8)
    assert torch.allclose(torch.tensor([shot.pose for shot in found]), views.poses)
    assert [(shot.fx, shot.cx, shot.height) for shot in found] == [(11.0, 4.0, 8)] * 3
    facts = described(FilesBelow(folder)).facts
    assert (facts["views"], facts["height"], facts["width"]) == (3, 8, 8)
    assert not said(folder).errors


@pytest.mark.parametrize("cut", [0, 1, 3])
def test_photographs_of_which_some_were_cut_out_and_others_not_are_told(folder, cut):
    names = [shot.file for shot in shots(FilesBelow(folder))]
    for name in names:
        with Pillow.open(folder / name) as image:
            image.convert("RGBA" if name in names[:cut] else "RGB").save(folder / name)
    found = said(folder).diagnostics
    assert [each.code for each in found] == ["RT584"] * (cut == 1)
    if found:
        assert f"2 of 3 photographs have no transparency, such as '{names[1]}'" in found[0].message


def test_a_mask_of_another_size_is_told(folder):
    (folder / "masks").mkdir()
    Pillow.new("L", (9, 8), 255).save(folder / "masks/000.png")
    (found,) = said(changed(folder, first={"mask_path": "masks/000.png"})).errors
    assert found.code == "RT572"
    assert "9 by 8 pixels" in found.message


def test_nerf_synthetic_leaves_endings_out_and_tells_the_angle(folder):
    (folder / "transforms.json").rename(folder / "transforms_train.json")
    told = json.loads((folder / "transforms_train.json").read_text())
    frames = [{**frame, "file_path": "./" + frame["file_path"].removesuffix(".png")} for frame in told["frames"]]
    (folder / "transforms_train.json").write_text(
        json.dumps({"camera_angle_x": 2 * math.atan(4 / 11), "frames": frames})
    )
    assert [(shot.fx, shot.fy) for shot in shots(FilesBelow(folder))] == [(pytest.approx(11), pytest.approx(11))] * 3


def test_a_frame_may_have_a_lens_of_its_own_and_be_smaller_than_it_tells(folder):
    changed(folder, first={"fl_x": 22, "fl_y": 22, "cx": 8, "cy": 8, "w": 16, "h": 16})
    first, second, _ = shots(FilesBelow(folder))
    assert (first.fx, first.cx) == (second.fx, second.cx) == (11, 4)


def test_pictures_may_differ_in_size(folder):
    changed(folder, first={"fl_x": 5.5, "fl_y": 5.5, "cx": 2, "cy": 2, "w": 4, "h": 4})
    Pillow.open(folder / "images/000.png").resize((4, 4)).save(folder / "images/000.png")
    assert [(shot.width, shot.fx) for shot in shots(FilesBelow(folder))] == [(4, 5.5), (8, 11), (8, 11)]


def test_a_picture_that_exif_would_turn_is_read_as_its_camera_saw_it(folder):
    """Those who made the list, and COLMAP before them, looked at the pixels as they are stored."""
    path, exif = folder / "images/000.png", Pillow.Exif()
    exif[0x0112] = 6
    stored = Pillow.open(path).crop((0, 0, 8, 6))
    stored.save(path, exif=exif)
    changed(folder, first={"h": 6, "cy": 3})
    assert not said(folder).errors
    first, *_ = shots(FilesBelow(folder))
    assert (first.height, first.width) == (6, 8)
    read = FolderIn(FileIn(torch.device("cpu")), folder, {first.file}).image(first.file)
    assert read.data.mul(255).round().byte().permute(1, 2, 0).numpy().tobytes() == stored.convert("RGB").tobytes()


def test_what_a_mask_blackens_is_not_fitted_to(folder):
    """nerfstudio's mask_path: pixels that are black there, such as people walking by, are left out."""
    (folder / "masks").mkdir()
    (folder / "masks_2").mkdir()
    small = Pillow.new("L", (8, 8), 255)
    small.paste(0, (0, 0, 3, 8))
    small.save(folder / "masks_2/000.png")
    Pillow.new("L", (16, 16), 255).save(folder / "masks/000.png")
    changed(folder, first={"mask_path": "./masks/000.png"})  # whose half has the picture's size
    assert not said(folder).errors
    found = described(FilesBelow(folder))
    assert found.files[-1] == "masks_2/000.png"
    read = FolderIn(FileIn(torch.device("cpu")), folder, set(found.files))
    views = open_views(read, path="cube/")
    assert [int(each.sum()) for each in views.counted] == [8 * 5, 64, 64]
    assert not read.files.notices  # such as that a mask is grey
    drawn = Rays.of(views).only
    assert len(drawn) == 8 * 5 + 2 * 64
    assert all(int(place) % 8 >= 3 for place in drawn[:40])
    only = [torch.ones(8, 8, dtype=torch.bool), *[torch.zeros(8, 8, dtype=torch.bool)] * 2]
    assert torch.equal(Rays.of(views, only).only, drawn[:40])
    assert [int(each.sum()) for each in views.some([1, 0]).counted] == [64, 40]
    small.paste(0, (0, 0, 8, 8))
    small.save(folder / "masks_2/000.png")
    told = json.loads((folder / "transforms.json").read_text())
    for frame in told["frames"]:
        frame["mask_path"] = "masks_2/000.png"
    (folder / "transforms.json").write_text(json.dumps(told))
    assert described(FilesBelow(folder)).files.count("masks_2/000.png") == 1
    with pytest.raises(ValueError, match="black everywhere"):
        open_views(FolderIn(FileIn(torch.device("cpu")), folder, set(found.files)), path="cube/")


BAD = {
    "RT570": [{"frames": []}, {"frames": "none"}],
    "RT571": [{"k1": 0.1}, {"p2": -0.01}, {"camera_model": "OPENCV_FISHEYE"}, {"is_fisheye": True}],
    "RT572": [
        {"first": {"file_path": "images/gone.png"}},
        {"first": {"file_path": "../outside.png"}},
        {"first": {"file_path": 3}},
        {"first": {"file_path": "images/001.png"}},
        {"first": {"file_path": "images//../images/./001.png"}},
        {"first": {"file_path": "transforms.json"}},
        {"first": {"file_path": "images/0\0.png"}},
        {"first": {"file_path": "images/\ud800.png"}},
        {"first": {"file_path": "i" * 5000}},
        {"first": {"mask_path": "masks/gone.png"}},
        {"first": {"mask_path": 3}},
        {"first": {"mask_path": "m" * 5000}},
    ],
    "RT573": [
        {"first": {"transform_matrix": None}},
        {"first": {"transform_matrix": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1]]}},
        {"first": {"transform_matrix": [[2, 0, 0, 0], [0, 2, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1]]}},
        {"first": {"transform_matrix": [[-1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]}},
        {"first": {"transform_matrix": [[1, 0, 0, math.nan], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]}},
    ],
    "RT574": [
        {"fl_x": None, "fl_y": None},
        {"fl_x": "wide"},
        {"w": 16},
        {"fl_x": None, "fl_y": None, "camera_angle_x": 4.0},
        {"fl_x": -3},
        {"w": 1e-300, "h": 1e-300},
        {"fl_x": 1e-300},
        {"fl_x": 9e11},
        {"cx": 1e11},
    ],
}


@pytest.mark.parametrize(("code", "change"), [(code, each) for code, many in BAD.items() for each in many])
def test_what_cannot_be_meant_is_told_at_check_with_its_place(folder, code, change):
    (found,) = said(changed(folder, **change)).errors
    assert found.code == code
    assert RECIPE[found.span.start : found.span.end] == '"cube/"'
    assert found.help
    assert len(found.message) < 400
    found.message.encode()


@pytest.mark.parametrize("text", ["{", "[]", "[" * 100_000, '{"frames": 1e999}', "\xff"])
def test_what_is_no_list_of_frames_is_told(folder, text):
    (folder / "transforms.json").write_bytes(text.encode("latin-1"))
    assert [found.code for found in said(folder).errors] == ["RT570"]


def test_a_folder_that_is_not_there_and_one_without_a_slash_are_told(folder):
    assert [found.code for found in said(folder, RECIPE.replace("cube/", "cub/")).errors] == ["RT570"]
    (found,) = said(folder, RECIPE.replace("cube/", "cube")).errors
    assert "with / at its end" in found.message


def test_a_link_that_leads_out_of_the_folder_is_refused(folder):
    outside = folder.parent / "outside.png"
    (folder / "images/000.png").rename(outside)
    (folder / "images/000.png").symlink_to(outside)
    with pytest.raises(UnfitFolder, match="outside"):
        shots(FilesBelow(folder))


def test_a_frustum_before_cameras_from_all_around_is_told_at_check(folder):
    write(folder, cube_views(8, side=8))
    (found,) = said(folder, RECIPE.replace("fit field", 'fit field space="frustum"')).errors
    assert 'space="box"' in found.help


@pytest.mark.parametrize(
    ("fit", "mend"),
    [
        ("fit field", "near=1 far=10"),
        ("fit field near=2", "near=1 far=10"),
        ('fit field space="box" near=2 far=6', 'space="frustum"'),
        ("fit field near=2 far=6", ""),
    ],
)
def test_cameras_that_look_along_parallel_lines_are_asked_for_depths_at_check(folder, fit, mend):
    told = json.loads((folder / "transforms.json").read_text())
    for i, frame in enumerate(told["frames"]):
        frame["transform_matrix"] = [[1, 0, 0, i], [0, 1, 0, 0], [0, 0, 1, 4], [0, 0, 0, 1]]
    changed(folder, frames=told["frames"])
    found = said(folder, RECIPE.replace("fit field", fit)).errors
    assert [each.code for each in found] == ["RT226"] * bool(mend)
    assert all(mend in each.help for each in found)


LOOKS = {
    "at one point from there": (lambda m: [[*row[:3], 0] for row in m[:3]], 6, "fit field", "one thing"),
    "away from each other": (lambda m: [[-r[0], r[1], -r[2], r[3]] for r in m[:3]], 6, "fit field", "one thing"),
    "past all that is there": (lambda m: m, 6, "fit field near=100", "far=10.4"),
    "at less than is there": (lambda m: m, 6, "fit field far=0.1", "near=2.6"),
    "at it, from all around": (lambda m: m, 6, "fit field near=3", ""),
}


@pytest.mark.parametrize("look", LOOKS)
def test_where_cameras_look_is_held_together_with_what_is_said_at_check(folder, look):
    change, count, fit, mend = LOOKS[look]
    write(folder, cube_views(count, side=8, alpha=False))
    told = json.loads((folder / "transforms.json").read_text())
    for frame in told["frames"]:
        frame["transform_matrix"] = change(frame["transform_matrix"])
    changed(folder, frames=told["frames"])
    found = said(folder, RECIPE.replace("fit field", fit)).errors
    assert [each.code for each in found] == ["RT226"] * bool(mend)
    assert all(mend in each.message + each.help for each in found)


def test_a_film_of_what_parallel_cameras_saw_looks_to_its_middle():
    views = cube_views(3, side=8)
    poses = torch.eye(4).repeat(3, 1, 1)
    poses[:, 0, 3] = torch.tensor([-1.0, 0.0, 1.0])
    beside = replace(views, poses=poses)
    with pytest.raises(ValueError, match="no one thing"):
        focus(beside)
    assert focus(beside, 3.0).tolist() == [0, 0, -3]
    assert len(round_trip(beside, 4, 3.0)) == 4
