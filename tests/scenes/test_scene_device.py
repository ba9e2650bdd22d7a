"""On a pretended GPU a field is placed and fitted as on the host, and nobody waits for each of its numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from retouch.api import Image, NoiseSource
from retouch.run.executor import run
from retouch.testing.pretend.device import pretended
from retouch.testing.worlds import World, tiny_world
from retouch_scenes.fitting import fit_field
from retouch_scenes.views import Views
from tests.scenes.cube import cube_views


def sent(views: Views, device: str) -> Views:
    images = tuple(
        Image(each.data.to(device), None if each.alpha is None else each.alpha.to(device)) for each in views.images
    )
    return replace(views, images=images, poses=views.poses.to(device))


def fitted(views: Views, world: World, levels: int = 1):
    size = {"resolution": 6, "planes": 3, "levels": levels, "iterations": 3, "rays": 16}
    return run(fit_field(views, NoiseSource(0, "fit"), world.outbox, world.outbox, **size))[0]


@pytest.mark.parametrize(("around", "cut_out"), [(False, False), (True, False), (True, True)])
def test_a_fit_waits_for_no_number_of_each_camera(around, cut_out):
    views, world = cube_views(5, side=8, around=around, alpha=cut_out), tiny_world(steps=1)
    wanted = fitted(views, world)
    with pretended() as device:
        there = sent(views, device.name)
        device.waits.clear()
        found = fitted(there, world)
        waits = [list(device.waits)]
        device.waits.clear()
        grown = fitted(there, world, levels=3)
        waits.append(list(device.waits))
        sides = [each.cpu() for each in (found.space.low, found.space.high, found.space.reference)]
        apart = (found.grid.cpu() - wanted.grid).abs().flatten()
    for one, other in zip(sides, (wanted.space.low, wanted.space.high, wanted.space.reference), strict=True):
        torch.testing.assert_close(one, other)
    assert apart.quantile(0.75) < 0.01  # Adam goes by the sign of gradients, which of some voxels is rounding's
    assert (found.near, found.far) == pytest.approx((wanted.near, wanted.far))
    # Where cameras stand, which pixels count, the last loss; and where silhouettes end, by which a box is cut.
    for each in waits:
        assert len(each) <= (12 if cut_out else 3), [str(wait) for wait in each]
    assert grown.grid.shape == found.grid.shape
