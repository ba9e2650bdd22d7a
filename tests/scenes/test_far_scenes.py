"""Georeferenced places, millions of units from the origin, where float32 knows no tenths, are as good as near ones."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from retouch.api.checking import Environment, check, load_registry
from retouch.api.running import execute
from retouch.models.files.headers import read_header
from retouch_scenes.meeting import centre_of
from retouch_scenes.rendering import image_of
from tests.scenes.cube import cube_views, write

REGISTRY = load_registry()
AWAY = (431_234.5678, 5_412_345.6789, 120.25)
SCENE = 'scene = open views "cube/" caption="a cube"\n'
FIT = SCENE + "cube = scene | fit field iterations=40 resolution=12 planes=6 rays=256"
SAVES = (
    'cube | save field "cube.safetensors"\ncube | render views | save views "seen/transforms.json"\n'
    'cube | save turntable "cube.webp" frames=2\n'
)
MESH = 'cube | save mesh "cube.ply" opacity=0.05\ncube | save mesh "cube.glb" opacity=0.05\n'


def moved(home, away=AWAY, *, around):
    """A scene whose world begins elsewhere."""
    folder = write(home / "cube", cube_views(6, side=16, around=around, alpha=around))
    told = json.loads((folder / "transforms.json").read_text())
    for frame in told["frames"]:
        for row, at in zip(frame["transform_matrix"], away, strict=False):
            row[3] += at
    (folder / "transforms.json").write_text(json.dumps(told))
    return home


def ran(home, text):
    found = check(text, Environment(REGISTRY, home, pictures=(), force=True))
    assert not found.errors, found.errors
    (outcome,) = execute(found.graphs, registry=REGISTRY).outcomes
    assert not outcome.failures, outcome.failures
    values = {type(value).__name__: value for value in outcome.values.values()}
    return values["Field"], values["Views"]


@pytest.fixture(scope="module", params=["frustum", "box"])
def homes(request, tmp_path_factory):
    """The same scene about the origin and far away, and what a recipe made of each."""
    around = request.param == "box"
    found = {}
    for name, away in (("near", (0, 0, 0)), ("far", AWAY)):
        home = moved(tmp_path_factory.mktemp(name), away, around=around)
        found[name] = (home, *ran(home, FIT + "\n" + SAVES + MESH * around))
    return found


def places(home, name="cube"):
    told = json.loads((home / name / "transforms.json").read_text())
    return np.array([frame["transform_matrix"] for frame in told["frames"]])[:, :3, 3]


def test_a_far_scene_is_fitted_as_the_same_is_near(homes):
    (_, near, views), (_, far, there) = homes["near"], homes["far"]
    assert near.space.centre == (0, 0, 0)
    assert far.space.kind == near.space.kind
    gap = image_of(near, views, 0).data - image_of(far, there, 0).data
    assert float(gap.abs().mean()) < 0.01  # rays are drawn alike, so what differs is the last bits of places
    assert float(image_of(near, views, 0).data.std()) > 0.05


def test_views_come_back_where_they_were(homes):
    home, *_ = homes["far"]
    np.testing.assert_allclose(places(home, "seen"), places(home), rtol=0, atol=2e-6)


def test_a_saved_field_knows_where_it_lies_and_is_met_by_views_of_a_smaller_part(homes):
    """Which are counted from another middle."""
    home, field, _ = homes["far"]
    centre = [float(each) for each in read_header(home / "cube.safetensors").metadata["centre"].split()]
    assert tuple(centre) == field.space.centre
    assert centre == pytest.approx(places(home).mean(0).tolist())
    assert float(load_file(home / "cube.safetensors")["high"].abs().max()) < 100
    folder = home / "cube/transforms.json"
    whole = folder.read_text()
    told = json.loads(whole)
    folder.write_text(json.dumps({**told, "frames": told["frames"][:3]}))
    try:
        text = SCENE + 'cube = scene | fit saved "cube.safetensors"\n'
        again, part = ran(home, text + 'cube | render views | save views "part/transforms.json"')
    finally:
        folder.write_text(whole)
    assert again.space.centre == part.centre == field.space.centre
    np.testing.assert_allclose(places(home, "part"), places(home)[:3], rtol=0, atol=2e-6)
    assert torch.allclose(part.images[0].data, image_of(field, part, 0).data)


def test_a_mesh_lies_in_the_world_and_a_glb_about_the_middle(homes):
    home, field, _ = homes["far"]
    if field.space.kind != "box":
        return
    head, _, body = (home / "cube.ply").read_bytes().partition(b"end_header\n")
    assert b"property double x" in head
    count = int(head.split(b"element vertex ")[1].split()[0])
    vertices = np.frombuffer(body, [("place", "<f8", 3), ("colour", "u1", 3)], count)["place"]
    assert np.abs(vertices.mean(0) - AWAY).max() < 1
    assert np.ptp(vertices, axis=0).max() < 5
    glb = (home / "cube.glb").read_bytes()
    node = json.loads(glb[20 : 20 + struct.unpack("<I", glb[12:16])[0]])["nodes"][0]
    assert tuple(node["extras"]["centre"]) == field.space.centre
    assert max(map(abs, node["matrix"])) <= 1


def test_views_counted_from_elsewhere_see_the_same():
    views = cube_views(3, side=8)
    other = views.about((5_000_000.0, -7.5, 3.0))
    back = other.about((4_999_999.0, 0.0, 0.0)).about((0.0, 0.0, 0.0))
    assert views.about((0.0, 0.0, 0.0)) is views
    assert float((back.poses - views.poses).abs().max()) < 0.6  # float32 of millions: so they are counted from near by
    assert other.centre == (5_000_000.0, -7.5, 3.0)


@pytest.mark.parametrize(("away", "moves"), [((0, 0, 0), False), ((50, 0, 0), False), ((0, 4000, 0), True)])
def test_places_are_counted_from_the_origin_where_float32_holds_them(away, moves):
    poses = cube_views(3, side=8).poses.double()
    poses[:, :3, 3] += torch.tensor(away)
    assert any(centre_of(poses.tolist())) == moves
