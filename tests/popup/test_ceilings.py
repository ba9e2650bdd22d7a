"""True pictures as edited views: what masks, poses, lifting and refitting cost by themselves, before any denoiser."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from retouch.api import Image, NoiseSource
from retouch.run import executor
from retouch_bench.scenes.measuring import decibels, revised
from retouch_bench.scenes.truth import SEEN, SpaceTruth, TrueTurn
from retouch_scenes.fitting import fit_field
from retouch_scenes.rendering import image_of
from retouch_scenes.views import Lens, Views
from retouch_storybook.popup import EDITS
from retouch_storybook.solids import LENS, animal, render, round_about


class Silent:
    """A log and notices that nobody reads."""

    def due(self, done: int, of: int) -> bool:
        """Nobody asks."""
        return False

    def learnt(self, done: int, of: int, loss: float) -> None:
        """Forget it."""

    def tell(self, words: str) -> None:
        """Forget it."""


def fit(views, **options):
    return executor.run(fit_field(views, NoiseSource(0, "fit"), Silent(), Silent(), **options))[0]


def stacked(views):
    return torch.stack([image.data for image in views.images])


def shown(field, views):
    return torch.stack([image_of(field, views, i).data for i in range(len(views))])


def held_beside(field, before, after):
    """Decibels inside of where two sets of views differ, and outside."""
    inside = (stacked(before) - stacked(after)).abs().amax(1) > SEEN
    made = shown(field, before)
    return decibels(made, stacked(after), inside), decibels(made, stacked(after), ~inside)


@pytest.fixture(scope="module")
def pop_up():
    """A cat on a beach, from twelve sides, as a field."""
    truth = SpaceTruth(EDITS["beach-dog"], views=12, held=4, size=48)
    views = truth.seen("before", "training")
    return truth, views, fit(views, resolution=56, planes=24, iterations=160, rays=1024)


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["beach-dog", pytest.param("beach-hat", marks=pytest.mark.bench)])
def test_a_true_dog_and_a_true_hat_come_through_lifting_and_refitting(pop_up, name):
    of, views, field = pop_up
    truth = SpaceTruth(EDITS[name], views=of.views, held=of.held, size=of.size)
    turn = TrueTurn(views, truth.seen("after", "training"))
    made = revised(field, views, turn, iterations=90, rays=640)
    held = truth.seen("before", "held out")
    (before, around), (now, outside) = (held_beside(each, held, truth.held_truth) for each in (field, made))
    assert before < 13
    assert now > max(17, before + 7), (before, now)
    assert outside > around - 1.5
    assert torch.equal(made.grid[:, ~made.changed], field.grid[:, ~made.changed])


@pytest.mark.thorough
def test_poses_of_another_convention_fall_far_below_the_ceiling(pop_up):
    _, views, field = pop_up
    wrong = Views(views.images, views.poses.clone(), views.lenses, views.names)
    wrong.poses[:, :3, 0] *= -1
    wrong.poses[:, :3, 1] *= -1
    made = fit(wrong, resolution=56, planes=24, iterations=60, rays=1024)
    right, other = (
        decibels(shown(each, of), stacked(of), torch.ones(len(of), *of.images[0].size, dtype=torch.bool))
        for each, of in ((field, views), (made, wrong))
    )
    assert right > other + 4


def solid_views(solids, count, shift=0.0, side=32):
    """Cut out, from all around."""
    lens, poses = Lens(LENS * side, LENS * side, side / 2, side / 2, side, side), round_about(count, shift)
    images = []
    for pose in poses:
        data = torch.from_numpy(np.asarray(render(solids, pose, side)).copy()).permute(2, 0, 1).float() / 255
        images.append(Image(data[:3] * data[3] + 1 - data[3], data[3]))
    stands = torch.from_numpy(np.stack(poses)).float()
    return Views(tuple(images), stands, (lens,) * count, tuple(f"{i:03d}" for i in range(count)))


@pytest.mark.thorough
def test_in_a_box_a_true_colour_comes_all_round():
    """A cat of solids that has a back, from sides that no camera stood at."""
    was, wanted = animal("cat", "orange"), animal("cat", "blue")
    views, after = solid_views(was, 16), solid_views(wanted, 16)
    field = fit(views, space="box", resolution=40, iterations=110, rays=512)
    assert field.space.kind == "box"
    made = revised(field, views, TrueTurn(views, after), iterations=90, rays=512, share=0.6)
    held, truth = solid_views(was, 6, 0.41), solid_views(wanted, 6, 0.41)
    (before, _), (now, outside) = (held_beside(each, held, truth) for each in (field, made))
    assert before < 12
    assert now > max(17, before + 7), (before, now)
    assert outside > 24
