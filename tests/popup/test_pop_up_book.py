"""The pop-up book: its middle view is the drawing, its cameras are where they say, and its edits have a truth."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from retouch_storybook.judge import load_judge
from retouch_storybook.popup import EDITS, SCENES, PopUp, angles, region
from retouch_storybook.popup.__main__ import main
from retouch_storybook.popup.book import AZIMUTH, ELEVATION, FOCAL, LENS, TO_OPENCV
from retouch_storybook.world import FIRST_UNSEEN_SEED, SETTINGS, Scene, render
from retouch_storybook.world.settings import SIDE


def pixels(picture):
    return np.asarray(picture).astype(int)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("subject", ["cat", "car"])
def test_the_middle_view_is_the_drawing_byte_for_byte(setting, subject):
    scene = Scene(subject, "orange", setting, "hat" if subject == "cat" else None, seed=FIRST_UNSEEN_SEED + 7)
    book = PopUp(scene)
    assert np.array_equal(pixels(book.render(book.middle)), pixels(render(scene)))


@pytest.mark.thorough
def test_a_place_of_the_world_is_seen_where_its_pose_says():
    """The foot of the subject, by the pose and the lens alone, is the middle of its shadow in every view."""
    book = PopUp(SCENES["beach"])
    bare = PopUp(SCENES["beach"])
    bare.planes = [plane for plane in bare.planes if plane.normal != (0.0, 0.0, 1.0) or plane.texture.shape[2] > SIDE]
    for place in angles(6):
        pose = book.pose(*place)
        x, y = book.foot
        seen = LENS @ (np.linalg.inv(pose @ TO_OPENCV) @ np.array([x, y, 0, 1.0]))[:3]
        column, row = seen[:2] / seen[2]
        shadow = np.abs(pixels(book.canvas(pose)) - pixels(bare.canvas(pose))).max(-1) > 2
        rows, columns = shadow.nonzero()
        assert abs(columns.mean() - column) < 8, place
        assert rows.min() - 2 <= row <= rows.max() + 2


@pytest.mark.thorough
def test_two_scenes_differ_where_their_edit_is_and_nowhere_else():
    edit = EDITS["beach-hat"]
    before, after = PopUp(edit.before), PopUp(edit.after)
    for place in angles(3, "held out"):
        pose = before.pose(*place)
        inside = region(before, after, pose)
        assert 0.01 < inside.mean() < 0.2
        grown = np.pad(inside, 3)
        for axis in (0, 1):
            grown = np.maximum.reduce([np.roll(grown, k, axis) for k in range(-3, 4)])
        gap = np.abs(pixels(before.render(pose)) - pixels(after.render(pose))).max(-1)
        assert not gap[~grown[3:-3, 3:-3]].any()  # LANCZOS reaches three pixels further


def test_there_are_eight_scenes_and_three_edits_of_each():
    assert len(SCENES) == 8
    assert len(EDITS) == 24
    for edit in EDITS.values():
        old, new = edit.words
        assert edit.before.caption().count(old) == 1
        replaced = edit.before.caption().replace(old, new).removeprefix("an ").removeprefix("a ")
        assert replaced == edit.after.caption().removeprefix("an ").removeprefix("a ")
    assert {scene.setting for scene in SCENES.values()} == set(SETTINGS)


@pytest.mark.thorough
def test_a_judge_reads_every_truth_from_every_side():
    """From one or the other corner of where cameras stand."""
    judge = load_judge()
    for i, edit in enumerate(EDITS.values()):
        book = PopUp(edit.after)
        poses = [book.pose(AZIMUTH, -ELEVATION) if i % 2 else book.pose(-AZIMUTH, ELEVATION)]
        data = torch.from_numpy(np.stack([pixels(book.render(pose)) for pose in poses])).permute(0, 3, 1, 2) / 255
        for reading in judge(data.float()):
            for attribute, value in edit.asked.items():
                assert getattr(reading, attribute) == value, edit.name


def test_angles_are_spread_within_bounds_and_held_out_ones_are_others():
    training, held = angles(20), angles(8, "held out")
    assert training[0] == (0.0, 0.0)
    assert not set(training) & set(held)
    for azimuth, elevation in (*training, *held):
        assert abs(azimuth) <= AZIMUTH
        assert abs(elevation) <= ELEVATION


@pytest.mark.thorough
def test_a_folder_is_written_that_says_where_its_cameras_stood(tmp_path, capsys):
    main(["--views", "2", "--held", "2", "--size", "32", str(tmp_path), "beach"])
    assert capsys.readouterr().out == f"{tmp_path / 'beach'}/: an orange cat on a beach\n"
    said = json.loads((tmp_path / "beach" / "dog" / "held" / "transforms.json").read_text())
    assert said["fl_x"] == FOCAL * 32 / SIDE
    book = PopUp(SCENES["beach"])
    assert np.allclose(said["frames"][0]["transform_matrix"], book.pose(*angles(2, "held out")[0]))
    assert (tmp_path / "beach" / "color" / "caption.txt").read_text() == "a blue cat on a beach\n"


@pytest.mark.parametrize("wrong", [["--views", "1", "out"], ["out", "castle"], ["--size", "4", "out"]])
def test_what_cannot_be_meant_is_said(wrong, capsys):
    with pytest.raises(SystemExit):
        main(wrong)
    assert "error:" in capsys.readouterr().err


def test_a_style_is_refused():
    with pytest.raises(ValueError, match="draw it without"):
        PopUp(Scene("cat", "orange", "on a beach", style="sketch"))
