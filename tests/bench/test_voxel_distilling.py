"""Vox-E's way, which is only measured: gradients of a score through the codec into voxels."""

from __future__ import annotations

import pytest
import torch

from retouch.api.running import Executor, Task
from retouch.testing import worlds
from retouch.testing.gaussian import GaussianMixture
from retouch_bench.scenes.truth import SpaceTruth
from retouch_bench.scenes.voxel_distilling import correlated, vox_e
from retouch_scenes.rendering import image_of
from retouch_scenes.spaces import empty
from retouch_scenes.volume import Volume
from retouch_storybook.popup import EDITS

TRUTH = SpaceTruth(EDITS["beach-dog"], views=3, held=1, size=32)
WORLD = worlds.gaussian_world(dtype=torch.float32, steps=6)


@pytest.fixture(scope="module")
def views():
    return TRUTH.seen("before", "training")


@pytest.fixture(scope="module")
def field(views):
    bare = empty(views, "frustum", 0, 0, 10, 6)
    return bare.with_grid(torch.randn(bare.grid.shape, generator=torch.Generator().manual_seed(3)))


def distilled(field, views, world=WORLD, **options):
    task = Task(lambda: world.call(vox_e, field=field, views=views, **options))
    Executor().run([task])
    if task.error:
        raise task.error
    assert task.rows == options["rounds"] * options.get("at_once", 1) * (2 if options.get("score") == "dds" else 1)
    return task.result


def gap(field, views):
    """How far what views show is from what the target prompt stands for."""
    codec, core = WORLD.codec, WORLD.model.core
    assert codec
    assert isinstance(core, GaussianMixture)
    shown = codec.encode(torch.stack([image_of(field, views, i).data for i in range(len(views))]))
    return float((shown - core.means[1]).square().mean())


@pytest.mark.parametrize("score", ["sds", "dds"])
def test_the_gradient_reaches_the_voxels_and_takes_them_where_the_target_is(field, views, score):
    options = {"score": score, "rounds": 12, "at_once": 2, "lr": 0.3, "correlation": 0.0}
    made = distilled(field, views, **options)
    assert gap(made, views) < 0.97 * gap(field, views)
    moved = (made.grid - field.grid).abs().amax((1, 2, 3))
    assert (moved > 0.1).all(), "density and each colour"
    assert made.changed is None


def test_the_correlation_holds_the_densities(field, views):
    options = {"rounds": 12, "at_once": 2, "lr": 0.3}
    free, held = (distilled(field, views, correlation=weight, **options) for weight in (0.0, 2000.0))
    kept = [float(correlated(each.grid[0], field.grid[0])) for each in (free, held)]
    assert kept[0] < 0.97
    assert 0.99 < kept[1] < 1
    assert not torch.equal(held.grid[1:], field.grid[1:])


def test_voxels_outside_the_lifted_part_are_the_sources_bit_for_bit(field, views):
    part = torch.zeros(field.grid.shape[1:], dtype=torch.bool)
    part[2:4, 3:7, 3:7] = True
    made = distilled(field, views, volume=Volume(part, field.space), rounds=3, lr=0.3)
    assert torch.equal(made.grid[:, ~part], field.grid[:, ~part])
    assert not (made.grid[:, part] == field.grid[:, part]).any(1).all()
    assert torch.equal(made.changed, part)


def test_the_same_prompts_move_nothing_by_their_difference(field, views):
    made = distilled(field, views, WORLD.null_edit(), score="dds", rounds=3, correlation=0.0)
    assert torch.equal(made.grid, field.grid)
