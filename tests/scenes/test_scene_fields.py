"""The renderer's laws, and a field that is fitted to pictures of a known cube."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from retouch.api import NoiseSource
from retouch.run import executor
from retouch_scenes.field import Field, Space, gathered, looked_up, seen
from retouch_scenes.fitting import Course, Rays, fitted, roughness_pull
from retouch_scenes.rendering import image_of
from retouch_scenes.spaces import empty, kind_of
from retouch_scenes.turntable import looking
from retouch_scenes.views import Views, focus
from tests.scenes.cube import HALF, cube_views


class Silent:
    """A log that nobody reads."""

    def due(self, done: int, of: int) -> bool:
        """Nobody asks."""
        return False

    def learnt(self, done: int, of: int, loss: float) -> None:
        """Forget it."""


def fit(field, views, course, mask=None):
    going = fitted(field, Rays.of(views), NoiseSource(0, "fit"), Silent(), course, mask)
    return executor.run(going)[0]


def decibels(field, views):
    gaps = [(image_of(field, views, i).data - views.images[i].data).square().mean() for i in range(len(views))]
    return -10 * float(torch.stack(gaps).mean().log10())


def spaces(dtype=torch.float64):
    one = torch.ones(3, dtype=dtype)
    back = torch.linalg.inv(cube_views(1).poses[0]).to(dtype)
    frustum = Space("frustum", torch.tensor([-0.5, -0.5, 1 / 6], dtype=dtype), 0.5 * one, back)
    return [Space("box", -1.2 * one, 1.2 * one, back), frustum]


@pytest.mark.parametrize("is_open", [True, False])
@pytest.mark.parametrize("space", spaces(), ids=lambda space: space.kind)
def test_the_gradient_of_what_is_seen_is_that_of_its_differences(space, is_open):
    draw = torch.Generator().manual_seed(0)
    field = Field(torch.randn(4, 5, 5, 5, generator=draw).double(), space, 2.0, 6.0, 9, is_open)
    origins, directions = (each[500:504].double() for each in cube_views(1).rays(0))

    def of(grid):
        found = seen(field.with_grid(grid), origins, directions)
        return torch.cat([found.colour, found.opacity[None], found.depth[None]])

    assert torch.autograd.gradcheck(of, field.grid.clone().requires_grad_(), eps=1e-6, atol=1e-6)


@pytest.mark.parametrize("space", spaces(), ids=lambda space: space.kind)
def test_space_there_and_back_is_the_same_place(space):
    unit = torch.rand(50, 3, generator=torch.Generator().manual_seed(1)).double() * 2 - 1
    assert torch.allclose(space.unit(space.world(unit)), unit)


def test_weights_of_a_ray_add_up_to_one_at_most_and_to_one_where_it_ends():
    draw = torch.Generator().manual_seed(2)
    origins, directions = (each.double() for each in cube_views(1).rays(0))
    for space in spaces():
        grid = 4 * torch.randn(4, 6, 6, 6, generator=draw).double()
        found = [seen(Field(grid, space, 2.0, 6.0, 16, is_open), origins, directions) for is_open in (True, False)]
        assert float(found[0].opacity.max()) <= 1 + 1e-12
        assert torch.allclose(found[1].opacity, torch.ones_like(found[1].opacity))
        assert all(bool((each.weights >= 0).all()) for each in found)


def test_an_empty_field_is_what_is_behind_it_and_a_full_one_its_own_colour():
    views = cube_views(1)
    (box, _) = spaces(torch.float32)
    empty_grid = torch.full((4, 4, 4, 4), -50.0)
    image = image_of(Field(empty_grid, box, 2.0, 6.0, 16, True), views, 0)
    assert bool((image.data == 1).all())
    assert float(image.alpha.max()) < 1e-9
    full = torch.full((4, 4, 4, 4), 50.0)
    full[2:] = -50.0
    middle = image_of(Field(full, box, 2.0, 6.0, 16, True), views, 0).data[:, 16, 16]
    assert torch.allclose(middle, torch.tensor([1.0, 0, 0]))


def test_both_ways_of_looking_up_give_the_same_values_and_gradients():
    draw = torch.Generator().manual_seed(3)
    places = torch.rand(7, 9, 3, generator=draw) * 2.6 - 1.3
    grids = [torch.randn(4, 3, 5, 6, generator=torch.Generator().manual_seed(4)).requires_grad_() for _ in range(2)]
    found = [look(grid, places) for look, grid in zip((looked_up, gathered), grids, strict=True)]
    assert torch.allclose(*found, atol=1e-6)
    for each in found:
        each.square().sum().backward()
    assert torch.allclose(grids[0].grad, grids[1].grad, atol=1e-5)


def test_the_ray_through_a_projected_corner_passes_it():
    views, corner = cube_views(12), torch.full((3,), HALF)
    for i in range(len(views)):
        x, y, depth = views.seen(i, corner)
        origins, directions = views.rays(i)
        place = int(y) * views.lenses[i].width + int(x)
        assert float((origins[place] + directions[place] * depth - corner).norm()) < 0.08


def test_the_focus_is_what_all_cameras_look_at():
    views = cube_views(6)
    assert float(focus(views).norm()) < 1e-5
    aside = replace(views, poses=views.poses + torch.tensor([[0.0, 0, 0, 300], [0, 0, 0, -70], [0, 0, 0, 9], [0] * 4]))
    assert torch.allclose(focus(aside), torch.tensor([300.0, -70, 9]), atol=1e-4)


def turned_away(views):
    return replace(views, poses=views.poses * torch.tensor([-1.0, 1, -1, 1]))


@pytest.mark.parametrize(
    "poses",
    [
        cube_views(1).poses.expand(6, -1, -1),
        cube_views(6).poses * torch.tensor([1.0, 1, 1, 0]) + torch.tensor([[0.0, 0, 0, 0]] * 3 + [[0, 0, 0, 1]]),
        turned_away(cube_views(6)).poses,
        turned_away(cube_views(6, around=False)).poses,
    ],
    ids=["parallel", "in one place", "away from each other", "away to one side"],
)
def test_cameras_that_do_not_look_at_one_thing_meet_nowhere(poses):
    views = replace(cube_views(6), poses=poses)
    with pytest.raises(ValueError, match="look at no one thing"):
        focus(views)
    for kind in ("box", "frustum"):
        with pytest.raises(ValueError, match="look at no one thing"):
            empty(views, kind, 0, 0, 8, 8)


@pytest.mark.parametrize("side", [32, 24])
def test_what_fits_into_the_pictures_tells_where_a_thing_begins_that_was_walked_round(side):
    """Not the nearest depth at which the box could hold something, which fills with fog."""
    views = cube_views(9, side=side, alpha=False)
    sine = 0.5 / math.hypot(0.5, 1.375)
    field = empty(views, "box", 0, 0, 8, 8)
    assert (field.near, field.far) == (pytest.approx(4 - 4 * sine, rel=1e-4), pytest.approx(10.4, rel=1e-4))
    small = [replace(lens, fx=lens.fx * 2, fy=lens.fy * 2) for lens in views.lenses[:4]]
    lenses = (*small, *views.lenses[4:])  # most see as before
    assert empty(replace(views, lenses=lenses), "box", 0, 0, 8, 8).near == pytest.approx(field.near)
    shifted = tuple(replace(lens, cx=lens.cx - side) for lens in views.lenses)  # a middle that no picture shows
    assert empty(replace(views, lenses=shifted), "box", 0, 0, 8, 8).near == pytest.approx(4)
    assert empty(views, "box", 1, 0, 8, 8).near == 1
    assert empty(views, "box", 0, 2, 8, 8).far == 2


def test_an_arc_whose_outer_pictures_look_aside_is_for_a_box():
    """The mean axis of 100 degrees is long, and a frustum before it would not hold what the outer cameras see."""
    arc = [math.radians(-50 + 20 * i) for i in range(6)]
    eyes = [torch.tensor([4 * math.sin(a), 4 * math.cos(a), 0]) for a in arc]
    poses = torch.stack([looking(eye, torch.zeros(3), torch.tensor([0.0, 0, 1])) for eye in eyes])
    views = replace(cube_views(6), poses=poses)
    assert kind_of(views) == "frustum"
    wide = tuple(replace(lens, fx=lens.fx / 2) for lens in views.lenses)
    assert kind_of(replace(views, lenses=wide)) == "box"


def test_roughness_falls_along_its_pull():
    grid = torch.randn(4, 3, 4, 5, generator=torch.Generator().manual_seed(5), dtype=torch.float64).requires_grad_()
    total = sum(torch.diff(grid, dim=axis).abs().mean() for axis in (1, 2, 3))
    total.backward()
    assert torch.allclose(roughness_pull(grid.detach()), grid.grad)


COURSE = Course(iterations=150, batch=1024, lr=0.2, smooth=1e-3)


@pytest.mark.thorough
def test_a_cube_from_all_around_is_found_in_a_box_cut_to_its_silhouettes():
    views, held = cube_views(24), cube_views(4, shift=0.41)
    assert kind_of(views) == "box"
    field = empty(views, "box", 0, 0, 40, 32)
    assert float((field.space.high - field.space.low).max()) < 2.1  # of 4 as the cameras alone would have it
    assert bool((field.space.low < -HALF).all())
    assert bool((field.space.high > HALF).all())
    assert decibels(fit(field, views, COURSE), held) > 22


def test_a_cube_from_one_side_is_found_in_a_frustum():
    views = cube_views(10, around=False, alpha=False)
    held = cube_views(3, shift=0.3, around=False, alpha=False)
    assert kind_of(views) == "frustum"
    field = fit(empty(views, "frustum", 0, 0, 0, 24), views, COURSE)
    assert decibels(field, held) > 24


def test_coarse_grids_first_are_truer_after_as_many_steps():
    views = cube_views(10, around=False, alpha=False)
    held = cube_views(3, shift=0.3, around=False, alpha=False)
    field, course = empty(views, "frustum", 0, 0, 72, 16), Course(iterations=60, batch=512, lr=0.2, smooth=1e-3)
    once, thrice = (fit(field, views, replace(course, levels=levels)) for levels in (1, 3))
    assert once.grid.shape == thrice.grid.shape == field.grid.shape
    assert decibels(thrice, held) > decibels(once, held) + 2


@given(iterations=st.integers(1, 50), levels=st.integers(1, 8))
def test_levels_share_all_steps_and_the_last_is_the_fields_own(iterations: int, levels: int):
    legs = Course(iterations, 1, 0.1, 0, levels=levels).legs()
    assert [k for _, steps in legs for k in steps] == list(range(iterations))
    assert [doublings for doublings, _ in legs] == list(range(min(levels, iterations)))[::-1]
    assert max(len(steps) for _, steps in legs) - min(len(steps) for _, steps in legs) <= 1


@pytest.mark.parametrize("kind, wanted", [("frustum", (24, 10, 5)), ("box", (6, 10, 5))])
def test_a_coarser_grid_keeps_a_frustums_planes(kind, wanted):
    space = next(each for each in spaces() if each.kind == kind)
    field = Field(torch.zeros(4, 24, 40, 20), space, 2.0, 6.0, 9, True)
    assert field.coarser(2) == wanted
    assert field.coarser(0) == (24, 40, 20)
    assert field.coarser(9)[1:] == (2, 2)  # never so few voxels that there is nothing between them


def test_voxels_outside_the_mask_keep_their_bits_and_without_any_nothing_moves():
    views = cube_views(6, side=16)
    field = empty(views, "box", 0, 0, 16, 32)
    mask = torch.zeros(field.grid.shape[1:], dtype=torch.bool)
    assert torch.equal(fit(field, views, Course(3, 64, 0.2, 1e-3), mask).grid, field.grid)
    mask[4:9] = True
    moved = fit(field, views, Course(3, 64, 0.2, 1e-3), mask).grid
    assert torch.equal(moved[:, ~mask], field.grid[:, ~mask])
    assert not torch.equal(moved[:, mask], field.grid[:, mask])


def test_views_of_several_sizes_draw_rays_from_every_pixel():
    small, large = cube_views(1, side=8), cube_views(1, side=16, shift=0.5)
    views = Views(
        (*small.images, *large.images),
        torch.cat([small.poses, large.poses]),
        (*small.lenses, *large.lenses),
        ("a", "b"),
    )
    rays = Rays.of(views)
    every = rays.drawn((torch.arange(8 * 8 + 16 * 16) + 0.5) / (8 * 8 + 16 * 16))
    wanted = torch.cat([views.rays(0)[1], views.rays(1)[1]])
    assert torch.allclose(every.directions, wanted, atol=1e-6)
    over_white = every.colour + (1 - every.opacity)
    assert torch.allclose(over_white, torch.cat([image.data.flatten(1) for image in views.images], 1), atol=1e-6)
