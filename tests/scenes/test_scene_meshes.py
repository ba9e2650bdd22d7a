"""Meshes of fields: closed, where the surface is, in its colours, and as the two formats say."""

from __future__ import annotations

import json
import math
import re
import struct

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from retouch.api import NothingOpaque
from retouch.api.checking import Environment, check, load_registry
from retouch.api.running import execute
from retouch_scenes.field import EMPTY, THICKNESS, Field, Space
from retouch_scenes.mesh_files import glb, ply, upright
from retouch_scenes.meshing import Mesh, raw_density, surface
from tests.scenes.cube import HALF, cube_views, write

RADIUS = 0.8
RED, BLUE = torch.tensor([0.9, 0.1, 0.1]), torch.tensor([0.1, 0.1, 0.9])
FITTED = 'cube = open views "cube/" caption="a cube" | fit field iterations=120 resolution=20 rays=256\n'


def ball(opacity: float = 0.5, kind: str = "box", middle: float = 0.0) -> Field:
    """Red where x > 0, else blue; in a box of three different sides and counts."""
    high = torch.tensor([1.5, 1.2, 1.0])
    space = Space(kind, -high, high, torch.eye(4))  # pyright: ignore[reportArgumentType]
    field = Field(torch.zeros(4, 20, 24, 30), space, 1.0, 5.0, 30, open=True)
    at = field.centres()
    density = raw_density(opacity) + (RADIUS - (at - torch.tensor([middle, 0, 0])).norm(dim=-1)) * 4
    colour = torch.where(at[..., :1] > 0, torch.logit(RED), torch.logit(BLUE)).permute(3, 0, 1, 2)
    return field.with_grid(torch.cat([density[None], colour]))


def edges(mesh: Mesh) -> torch.Tensor:
    return torch.cat([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]], mesh.faces[:, [2, 0]]])


def volume(mesh: Mesh) -> float:
    """Positive where triangles go against the clock seen from outside."""
    a, b, c = mesh.places[mesh.faces].unbind(1)
    return float((a * torch.linalg.cross(b, c)).sum() / 6)


@pytest.mark.parametrize("middle", [0.0, 1.2], ids=["inside", "through a wall of the box"])
def test_a_surface_is_closed_and_faces_outwards(middle):
    mesh = surface(ball(middle=middle), 0.5)
    there, counts = edges(mesh).unique(dim=0, return_counts=True)
    assert counts.max() == 1  # no edge is gone along twice in one direction,
    assert {*map(tuple, there.tolist())} == {*map(tuple, there.flip(1).tolist())}  # and each once in the other
    assert len(mesh.places) - len(there) // 2 + len(mesh.faces) == 2  # Euler's: a ball
    assert volume(mesh) > 0


@pytest.mark.parametrize("opacity", [0.1, 0.5, 0.9])
def test_it_lies_where_a_step_takes_this_share_of_the_light_and_has_its_colours(opacity):
    thick = F.softplus(torch.tensor(raw_density(opacity)) - EMPTY) * THICKNESS
    assert 1 - math.exp(-float(thick)) == pytest.approx(opacity, abs=1e-5)
    mesh = surface(ball(opacity), opacity)
    assert (mesh.places.norm(dim=1) - RADIUS).abs().max() < 0.01
    assert volume(mesh) == pytest.approx(4 / 3 * math.pi * RADIUS**3, rel=0.03)
    for colour, side in ((RED, mesh.places[:, 0] > 0.12), (BLUE, mesh.places[:, 0] < -0.12)):
        assert torch.allclose(mesh.colours[side], colour.expand(int(side.sum()), 3), atol=1e-5)


def test_colours_are_those_of_what_is_there_not_of_the_emptiness_beside_it():
    field = ball()
    grid = field.grid.clone()
    grid[0] = torch.where(grid[0] > raw_density(0.5), 6.0, -6.0)
    grid[1:, grid[0] < 0] = 0.0
    mesh = surface(field.with_grid(grid), 0.5)
    right = mesh.places[:, 0] > 0.2
    assert (mesh.colours[right] - RED).abs().max() < 0.01


def test_what_has_no_surface_says_why():
    with pytest.raises(ValueError, match="a frustum has no back"):
        surface(ball(kind="frustum"), 0.5)
    with pytest.raises(NothingOpaque, match=r"as opaque as 0.5; its most is 0.2"):
        surface(Field(torch.zeros(4, 4, 4, 4), ball().space, 1.0, 5.0, 9, open=True), 0.5)


def test_a_recipe_that_asks_for_more_than_the_field_has_is_told_how_much_that_is(tmp_path):
    """And what is told to write in its place is what works."""
    write(tmp_path / "cube", cube_views(4, side=8))
    fit = 'open views "cube/" caption="a cube" | fit field iterations=1 resolution=8 rays=16'

    def run(opacity):
        registry = load_registry()
        text = f'{fit} | save mesh "cube.ply" opacity={opacity}\n'
        found = check(text, Environment(registry, tmp_path, pictures=(), force=True))
        assert not found.diagnostics
        return execute(found.graphs, registry=registry).outcomes[0]

    (told,) = run("0.99").failures
    assert told.code == "RT245"
    mend = re.fullmatch(r"write opacity=(0\.\d+)", told.help)
    assert mend, told.help
    assert not run(mend[1]).failed


def test_a_ply_has_all_of_it():
    mesh = surface(ball(), 0.5)
    head, _, body = ply(mesh).partition(b"end_header\n")
    assert f"element vertex {len(mesh.places)}\n".encode() in head
    assert f"element face {len(mesh.faces)}\n".encode() in head
    vertices = np.frombuffer(body, [("p", "<f4", 3), ("c", "u1", 3)], len(mesh.places))
    faces = np.frombuffer(body, [("n", "u1"), ("v", "<i4", 3)], offset=vertices.nbytes)
    assert np.array_equal(vertices["p"], mesh.places.numpy())
    np.testing.assert_allclose(vertices["c"] / 255, mesh.colours.numpy(), rtol=0, atol=0.003)
    assert np.array_equal(faces["v"], mesh.faces.numpy())
    assert set(faces["n"]) == {3}


def test_a_glb_has_all_of_it_upright_and_its_colours_as_light():
    mesh, turn = surface(ball(), 0.5), upright(cube_views(6))
    said, (places, colours, faces) = opened(glb(mesh, turn))
    assert np.array_equal(places, mesh.places.numpy())
    assert np.array_equal(faces.reshape(-1, 3), mesh.faces.numpy())
    assert said["accessors"][0]["min"] == places.min(0).tolist()
    back = np.where(colours <= 0.0031308, colours * 12.92, 1.055 * colours ** (1 / 2.4) - 0.055)
    np.testing.assert_allclose(back, mesh.colours.numpy(), rtol=0, atol=1e-4)
    matrix = np.array(said["nodes"][0]["matrix"]).reshape(4, 4).T[:3, :3]
    assert np.linalg.det(matrix) == pytest.approx(1, abs=1e-5)
    up = cube_views(6).poses[:, :3, 1].mean(0)
    assert np.allclose(matrix @ (up / up.norm()).numpy(), [0, 1, 0], atol=1e-5)
    eye = matrix @ cube_views(6).poses[0, :3, 3].numpy()
    assert abs(eye[0]) < 1e-4
    assert eye[2] > 0


def opened(data: bytes):
    """The text of a GLB and its accessors' numbers."""
    magic, version, length = struct.unpack_from("<4sII", data)
    assert (magic, version, length) == (b"glTF", 2, len(data))
    size, kind = struct.unpack_from("<I4s", data, 12)
    assert (size % 4, kind) == (0, b"JSON")
    said = json.loads(data[20 : 20 + size])
    assert data[24 + size : 28 + size] == b"BIN\0"
    numbers, found = data[28 + size :], []
    assert said["buffers"][0]["byteLength"] == len(numbers)
    for accessor in said["accessors"]:
        view = said["bufferViews"][accessor["bufferView"]]
        wide = {"SCALAR": 1, "VEC3": 3}[accessor["type"]]
        form = {5126: "<f4", 5125: "<u4"}[accessor["componentType"]]
        assert view["byteLength"] == accessor["count"] * wide * 4
        values = np.frombuffer(numbers, form, accessor["count"] * wide, view["byteOffset"])
        found.append(values.reshape(-1, wide) if wide > 1 else values)
    return said, found


def test_a_recipe_makes_both_of_a_cube_and_says_how(tmp_path):
    write(tmp_path / "cube", cube_views(8, side=24))
    text = FITTED + 'cube | save mesh "cube.glb" opacity=0.5\ncube | save mesh "cube.ply"\n'
    registry = load_registry()
    found = check(text, Environment(registry, tmp_path, pictures=(), force=True))
    assert not found.diagnostics
    (outcome,) = execute(found.graphs, registry=registry).outcomes
    assert not outcome.failed
    assert (tmp_path / "cube.ply").read_bytes().startswith(b"ply\n")
    _, (places, _, _) = opened((tmp_path / "cube.glb").read_bytes())
    assert np.median(np.abs(places).max(1)) == pytest.approx(HALF, abs=0.15)  # as of every point of a cube's faces


@pytest.mark.parametrize(
    ("cameras", "fit", "codes"),
    [
        ("around", "fit field", set()),
        ("front", "fit field", {"RT226"}),
        ("front", 'fit field space="frustum" | revise (invert ddim "cube"->"ball")', {"RT226"}),
        ("front", 'fit field space="box"', set()),
        ("around", 'fit field space="box" | revise (invert ddim "cube"->"ball")', set()),
    ],
)
def test_a_field_without_a_back_is_refused_at_check(tmp_path, cameras, fit, codes):
    write(tmp_path / "cube", cube_views(6, side=16, around=cameras == "around"))
    text = f'open views "cube/" caption="a cube" | {fit} | save mesh "cube.glb"\n'
    found = check(text, Environment(load_registry(), tmp_path, pictures=(), force=True))
    assert {each.code for each in found.errors} == codes
