"""Solids: a ray meets each where the formula of its surface says, and cameras all around see the same thing."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from retouch_storybook.solids import animal, render, round_about
from retouch_storybook.solids.__main__ import main
from retouch_storybook.solids.shapes import placed

INSIDE = {
    "ball": lambda p: (p**2).sum(-1) - 1,
    "tube": lambda p: np.maximum(np.hypot(p[..., 0], p[..., 1]) - 1, np.abs(p[..., 2]) - 1),
    "cone": lambda p: np.maximum(np.hypot(p[..., 0], p[..., 1]) - (1 - p[..., 2]) / 2, np.abs(p[..., 2]) - 1),
    "block": lambda p: np.abs(p).max(-1) - 1,
}


@pytest.mark.parametrize("shape", INSIDE)
def test_a_ray_meets_a_solid_first_where_it_enters_it(shape):
    """Beside small steps along the ray; the normal is that of the surface, by differences, and looks at the camera."""
    solid = placed(shape, (0.2, -0.1, 0.3), (0.9, 0.6, 0.7), (200, 0, 0), tilt=25)
    draw = np.random.default_rng(3)
    origins = draw.normal(size=(300, 3))
    origins *= 3 / np.linalg.norm(origins, axis=1, keepdims=True)
    directions = draw.normal(scale=0.8, size=(300, 3)) - origins
    back = np.linalg.inv(solid.place)

    def gap(points):
        return INSIDE[shape](points @ back[:3, :3].T + back[:3, 3])

    t, normals = solid.met(origins, directions)
    along = np.linspace(0, 3, 3000)
    within = np.stack([gap(origins + directions * each) < 0 for each in along])
    wanted = np.where(within.any(0), along[within.argmax(0)], np.inf)
    hit = np.isfinite(wanted) & np.isfinite(t)
    assert hit.mean() > 0.2
    assert (np.isfinite(wanted) == np.isfinite(t)).mean() > 0.98  # a ray may graze between two steps
    np.testing.assert_allclose(t[hit], wanted[hit], rtol=0, atol=2e-3)
    points = origins[hit] + directions[hit] * t[hit, None]
    slope = np.stack([gap(points + 1e-5 * axis) - gap(points - 1e-5 * axis) for axis in np.eye(3)], 1)
    slope /= np.linalg.norm(slope, axis=1, keepdims=True)
    assert np.quantile((slope * normals[hit]).sum(1), 0.05) > 0.999
    assert ((normals[hit] * directions[hit]).sum(1) < 0).all()


@pytest.mark.thorough
def test_an_animal_is_whole_in_every_view_and_has_a_back():
    poses = round_about(12)
    pictures = [np.asarray(render(animal("cat", "orange"), pose, 48)) for pose in poses]
    for picture in pictures:
        alpha = picture[..., 3]
        assert not alpha[[0, -1]].any()
        assert not alpha[:, [0, -1]].any()
        assert 0.05 < (alpha > 0).mean() < 0.5
    dark = [((each[..., :3].max(-1) < 70) & (each[..., 3] == 255)).sum() for each in pictures]
    front = [float(pose[:3, 2] @ [0, -1, 0]) for pose in poses]
    assert dark[int(np.argmax(front))] > dark[int(np.argmin(front))]  # eyes are in front alone


@pytest.mark.thorough
def test_an_edit_changes_what_it_is_of():
    pose = round_about(5)[1]
    plain, hat, dog, blue = (
        np.asarray(render(animal(*how), pose)).astype(int)
        for how in (("cat", "orange"), ("cat", "orange", "hat"), ("dog", "orange"), ("cat", "blue"))
    )
    assert not (plain != hat)[40:].any()
    assert (plain != hat)[:32].any()
    assert (plain != dog).any()
    assert np.array_equal(plain[..., 3], blue[..., 3])


def test_a_folder_is_written(tmp_path, capsys):
    main([str(tmp_path / "dog"), "--subject", "dog", "--color", "gray", "--views", "2", "--size", "16"])
    assert capsys.readouterr().out == "a gray dog\n"
    said = json.loads((tmp_path / "dog" / "transforms.json").read_text())
    assert len(said["frames"]) == 2
    assert Image.open(tmp_path / "dog" / said["frames"][1]["file_path"]).mode == "RGBA"
