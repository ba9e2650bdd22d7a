"""Masks lifted into space, and fields that are revised by turns that know the truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from retouch.api import Image, Mask, NoiseSource, NothingLifted, Ranked, Turned, Unmet, call
from retouch.run import executor
from retouch_scenes.fitting import Course, Rays, fitted
from retouch_scenes.lifting import adjoint, hull, lift, shadow, together
from retouch_scenes.rendering import image_of
from retouch_scenes.revising import revise
from retouch_scenes.spaces import empty
from tests.scenes.cube import FACES, HALF, cube_views

RED = FACES.clone()
RED[3] = torch.tensor([0.95, 0.1, 0.1])  # the side at +y


class Silent:
    """A log that nobody reads."""

    def due(self, done: int, of: int) -> bool:
        """Nobody asks."""
        return False

    def learnt(self, done: int, of: int, loss: float) -> None:
        """Forget it."""


def run(coroutine):
    return executor.run(coroutine)[0]


@pytest.fixture(scope="module")
def world():
    """A cube, the field that explains it, the true edit of every view, and where they differ."""
    views, after = cube_views(20, side=24, alpha=False), cube_views(20, side=24, alpha=False, faces=RED)
    field = empty(cube_views(20, side=24), "box", 0, 0, 32, 32)
    field = run(
        fitted(field, Rays.of(cube_views(20, side=24)), NoiseSource(0, "fit"), Silent(), Course(150, 1024, 0.2, 1e-3))
    )
    masks = [
        ((one.data - other.data).abs().amax(0) > 0.02).float()
        for one, other in zip(views.images, after.images, strict=True)
    ]
    return views, field, after, masks


class TrueTurn:
    """A turn that knows the answer, and counts how it was called."""

    def __init__(self, views, after, masks, wrong=(), failing=()):
        self.of = {id(image.data): i for i, image in enumerate(views.images)}
        self.after, self.masks, self.wrong, self.failing = after, masks, wrong, failing
        self.asked: list[tuple[int, str]] = []

    async def __call__(self, image, *, source=None, mask=None, key=""):
        i = self.of[id(source.data)]
        self.asked.append((i, key))
        if i in self.failing:
            raise Unmet("psnr", "10 dB", "30 dB or more")
        if i in self.wrong:
            return Turned(Image(torch.zeros_like(image.data)), Mask(torch.ones_like(image.data[0])))
        return Turned(self.after.images[i], None if self.masks is None else Mask(self.masks[i]))


def revised(world, turn, field=None, **options):
    views, own, _, _ = world
    settings = {"iterations": 60, "rays": 512, **options}
    return run(revise(field or own, views, turn, NoiseSource(0, "revise"), Silent(), **settings))


def inside(field, views, masks, truth):
    """Decibels where the true edit changed the views."""
    gaps = [
        (image_of(field, views, i).data - truth.images[i].data).square().mean(0)[masks[i] > 0]
        for i in range(len(views))
    ]
    return -10 * float(torch.cat(gaps).mean().log10())


@pytest.mark.thorough
def test_true_edits_make_the_true_thing_and_voxels_outside_keep_their_bits(world):
    views, field, after, masks = world
    made = revised(world, TrueTurn(views, after, masks), iterations=150, share=0.6)
    before, now = inside(field, views, masks, after), inside(made, views, masks, after)
    assert now > max(14, before + 5), (before, now)
    assert 0 < float(made.changed.float().mean()) < 0.6
    assert torch.equal(made.grid[:, ~made.changed], field.grid[:, ~made.changed])


@pytest.mark.thorough
def test_what_the_masks_of_all_photographs_hide_cannot_be_revised(world):
    """No pixel that counts sees it, so nothing would say what it is to become."""
    views, _, after, masks = world
    hidden = replace(views, counted=tuple(mask == 0 for mask in masks))
    beside = replace(views, counted=tuple(torch.ones_like(mask, dtype=torch.bool) for mask in masks))
    turn = TrueTurn(views, after, masks)
    part = revised((beside, *world[1:]), turn, iterations=1).changed
    for i in range(len(views)):
        hidden.counted[i][shadow(world[1], views, i, part)] = False
    with pytest.raises(NothingLifted, match="masks of the photographs hide all of it"):
        revised((hidden, *world[1:]), turn, iterations=1)


@pytest.mark.thorough
def test_a_view_that_is_wrong_is_outvoted_and_one_that_fails_is_left_out(world):
    views, field, after, masks = world
    good = inside(revised(world, TrueTurn(views, after, masks)), views, masks, after)
    made = revised(world, TrueTurn(views, after, masks, wrong=(3,), failing=(5, 6)))
    assert inside(made, views, masks, after) > good - 2.5
    assert torch.equal(made.grid[:, ~made.changed], field.grid[:, ~made.changed])


@pytest.mark.parametrize("order", ["together", "one_by_one"])
@pytest.mark.thorough
def test_where_no_view_can_be_edited_it_is_told_by_what_refused_them(world, order):
    """So that `first` goes another way, as it does where the flow of a picture is refused."""
    views, _, after, masks = world
    with pytest.raises(Unmet, match="10 dB"):
        revised(world, TrueTurn(views, after, masks, failing=range(20)), order=order)


def test_a_part_of_another_field_is_told(world):
    """Even one of as many voxels: it would lie elsewhere."""
    views, field, after, masks = world
    part = run(lift(field, views, TrueTurn(views, after, masks), share=0.5))
    moved = replace(field.space, low=field.space.low + 0.1)
    for other in (replace(field, space=moved), field.with_grid(field.grid[:, :-1])):
        with pytest.raises(NothingLifted, match="another field"):
            revised(world, TrueTurn(views, after, None), field=other, volume=part, iterations=1)
    assert part.of(revised(world, TrueTurn(views, after, None), volume=part, iterations=1))


@pytest.mark.thorough
def test_masks_that_meet_nowhere_are_told(world):
    views, _, after, masks = world
    for order in ("together", "one_by_one"):
        with pytest.raises(NothingLifted, match="no place in the field"):
            revised(world, TrueTurn(views, after, [torch.zeros_like(mask) for mask in masks]), order=order)


def test_later_rounds_begin_with_what_the_field_shows_and_draw_other_noise(world):
    views, _, after, masks = world
    turn = TrueTurn(views, after, masks)
    revised(world, turn, rounds=2, iterations=2, at_once=7)
    assert turn.asked == [(i, "") for i in range(20)] + [(i, "round1") for i in range(20)]


def test_a_flow_without_a_mask_changes_what_was_changed_before_and_else_everything(world):
    views, field, after, masks = world
    first = revised(world, TrueTurn(views, after, masks), iterations=2)
    again = revised(world, TrueTurn(views, after, None), field=first, iterations=2)
    assert torch.equal(again.changed, first.changed)
    assert torch.equal(again.grid[:, ~first.changed], field.grid[:, ~first.changed])
    assert bool(revised(world, TrueTurn(views, after, None), iterations=2).changed.all())


@pytest.mark.thorough
def test_one_view_after_the_other_comes_to_the_same_thing_with_as_many_turns(world):
    views, field, after, masks = world
    turn = TrueTurn(views, after, masks)
    made = revised(world, turn, order="one_by_one", iterations=100)
    assert len(turn.asked) == 20
    assert torch.equal(made.grid[:, ~made.changed], field.grid[:, ~made.changed])
    assert inside(made, views, masks, after) > inside(field, views, masks, after) + 2


@pytest.mark.thorough
def test_one_view_after_the_other_those_that_are_refused_are_left_out(world):
    """The first too, when nothing says yet where the field may change."""
    views, field, after, masks = world
    turn = TrueTurn(views, after, masks, failing=(0, 5))
    made = revised(world, turn, order="one_by_one", iterations=40)
    assert 0 < float(made.changed.float().mean()) < 0.6
    assert torch.equal(made.grid[:, ~made.changed], field.grid[:, ~made.changed])


def test_the_same_again_has_the_same_bits(world):
    views, _, after, masks = world
    one, other = (revised(world, TrueTurn(views, after, masks), iterations=3) for _ in range(2))
    assert torch.equal(one.grid, other.grid)


def test_the_hull_holds_the_changed_side_and_its_shadow_the_masks(world):
    views, field, _, masks = world
    part = hull(field, views, masks, 0.5)
    points = field.centres()
    side = (points[..., 1] - HALF).abs() < 0.05
    side &= (points[..., 0].abs() < 0.5) & (points[..., 2].abs() < 0.5)
    assert float(part[side].float().mean()) > 0.9
    assert float(part.float().mean()) < 0.5
    thrown = [shadow(field, views, i, part) for i in range(len(views))]
    covered = [float(cast[mask > 0].float().mean()) for cast, mask in zip(thrown, masks, strict=True) if mask.any()]
    assert np.mean(covered) > 0.9


def test_the_adjoint_is_the_mean_of_what_the_rays_that_see_a_voxel_are_told(world):
    views, field, _, masks = world
    ones = [torch.ones_like(mask) for mask in masks]
    even = adjoint(field, views, ones)
    assert torch.all((even < 1e-3) | ((even - 1).abs() < 1e-3))
    lifted = adjoint(field, views, masks)
    points = field.centres()
    inner = (points[..., 0].abs() < 0.4) & (points[..., 2].abs() < 0.4)
    near, far = ((points[..., 1] - place).abs() < 0.06 for place in (HALF, -HALF))
    assert float(lifted[inner & near].max()) > 0.8
    assert float(lifted[inner & far].max()) < 0.2


def test_lifting_asks_for_each_view_once_and_says_where_nothing_is_masked(world):
    views, field, after, masks = world
    turn = TrueTurn(views, after, masks)
    assert bool(run(lift(field, views, turn, share=0.5)).data.any())
    assert len(turn.asked) == 20
    turn.masks = [torch.zeros_like(mask) for mask in masks]
    with pytest.raises(NothingLifted):
        run(lift(field, views, turn))


@pytest.mark.parametrize(("at_once", "most"), [(32, 20), (7, 7), (1, 1)])
@pytest.mark.parametrize("way", ["lift", "revise"])
def test_no_more_views_than_said_are_on_their_way_together(world, way, at_once, most):
    views, field, after, masks = world
    turn, under_way, seen = TrueTurn(views, after, masks), [0], list[int]()

    async def counted(image, *, source=None, mask=None, key=""):
        under_way[0] += 1
        seen.append(under_way[0])
        await call(torch.clone, image.data)
        under_way[0] -= 1
        return await turn(image, source=source, mask=mask, key=key)

    if way == "lift":
        run(lift(field, views, counted, share=0.5, at_once=at_once))
    else:
        revised(world, counted, iterations=1, at_once=at_once)
    assert max(seen) == most


@pytest.mark.thorough
def test_views_that_choose_among_draws_choose_together(world):
    """The draw that is best on average, not each view's own."""
    views, _, after, masks = world
    dark = [Image(torch.zeros_like(image.data)) for image in views.images]
    turn = TrueTurn(views, after, masks)
    scores = [(0.4, 0.5) if i % 5 else (0.9, 0.1) for i in range(20)]  # each fifth view likes the truth far better

    async def ranking(image, *, source=None, mask=None, key=""):
        made = await turn(image, source=source, mask=mask, key=key)
        i = turn.of[id(source.data)]
        draws = (dark[i], after.images[i])
        own = min((0, 1), key=scores[i].__getitem__)
        return Turned(Ranked(draws[own].data, None, draws, scores[i], keep), made.mask)

    keep = 1
    assert torch.equal(revised(world, ranking, iterations=2).grid, revised(world, turn, iterations=2).grid)
    keep = 2
    turn.after = replace(after, images=tuple(dark))
    (last, *_), (first, *_) = (revised(world, each, iterations=2).grid for each in (turn, ranking))
    assert torch.equal(first, last)


def test_a_view_that_has_not_chosen_leaves_each_its_own(world):
    views, _, after, _ = world
    one = Turned(Ranked(views.images[0].data, None, (views.images[0], after.images[0]), (0.1, 0.2)))
    other = Turned(Ranked(views.images[1].data, None, (views.images[1], after.images[1]), (0.9, 0.2)))
    made = together([one, other])
    assert [each.image for each in made if each] == list(after.images[:2])
    assert together([one, None, other])[1] is None
    plain = Turned(after.images[2])
    assert together([one, plain]) == [one, plain]
    assert together([plain, None]) == [plain, None]
    more = Turned(Ranked(views.images[2].data, None, after.images[:3], (0.1, 0.2, 0.3)))
    assert together([one, more]) == [one, more]


@pytest.mark.parametrize("by", ["hull", "adjoint"])
def test_a_view_that_fails_is_left_out_of_what_is_lifted(world, by):
    views, field, after, masks = world
    failing, kept = {0, 7}, [i for i in range(20) if i not in {0, 7}]
    made = run(lift(field, views, TrueTurn(views, after, masks, failing=failing), by=by, share=0.5))
    others = run(lift(field, views.some(kept), TrueTurn(views, after, masks), by=by, share=0.5))
    assert torch.equal(made.data, others.data)
    with pytest.raises(Unmet):
        run(lift(field, views, TrueTurn(views, after, masks, failing=range(20)), by=by))


@pytest.mark.thorough
def test_pictures_that_were_cut_out_are_edited_over_white_without_white_fog(world):
    views, field, _, _ = world
    cut, after = cube_views(20, side=24), cube_views(20, side=24, alpha=False, faces=RED)
    masks = [F.max_pool2d((image.alpha > 0).float()[None, None], 5, 1, 2)[0, 0] for image in cut.images]
    made = revised((cut, field, after, masks), TrueTurn(cut, after, masks))
    assert inside(made, views, [torch.ones(24, 24)] * 20, after) > inside(
        field, views, [torch.ones(24, 24)] * 20, after
    )
    corner = image_of(made, cut, 0).alpha[:2, :2]
    assert float(corner.max()) < 0.05
