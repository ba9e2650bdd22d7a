"""What distillation promises: nothing asked, nothing moved; nothing outside the mask; the same in any company."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import torch

from retouch.api import Mask, Prediction, SourceLatents
from retouch.run.executor import run
from retouch.testing import laws
from retouch.testing.laws.conduct import count_rows
from retouch.testing.tiny import Draws
from retouch.testing.worlds import gaussian_world, tiny_world
from retouch_methods.distil.dds import dds
from retouch_methods.distil.descent import drawn, falling
from retouch_methods.distil.pds import pds
from retouch_methods.distil.sds import sds
from retouch_methods.guide.cfg import cfg

ALL = (dds, pds, sds)
BESIDE = (dds, pds)  # those that look at the source, too
each = pytest.mark.parametrize("stage", ALL, ids=lambda stage: stage.__name__)
beside = pytest.mark.parametrize("stage", BESIDE, ids=lambda stage: stage.__name__)


def guided(**more):
    return replace(tiny_world(steps=6, **more), guidance=cfg(guidance=3.0))


@each
def test_it_keeps_the_laws_of_every_stage(stage):
    assert "rows_law" in laws.stage_laws(stage, rounds=3)


@each
def test_it_costs_what_it_says_under_a_guidance_of_two_rows(stage):
    rows = laws.rows_law(stage, guided(), facts={"guide": 2}, rounds=3)
    assert rows == (6 if stage is sds else 12)


@each
@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "flow"])
def test_it_moves_the_latents_of_every_kind_of_model(stage, kind):
    world = guided(kind=kind)
    (made,) = run(world.call(stage, rounds=3))
    assert torch.isfinite(made.data).all()
    assert (made.data - world.latents.data).abs().max() > 1e-4


@beside
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_where_nothing_is_to_change_nothing_moves(stage, optimizer):
    world = guided().null_edit()
    (made,) = run(world.call(stage, rounds=4, optimizer=optimizer))
    assert torch.equal(made.data, world.latents.data)


@beside
def test_what_rows_of_one_call_differ_by_in_their_last_bits_is_no_gradient(stage):
    """On a GPU equal rows may differ by a rounding, of which Adam would make whole steps."""
    world = gaussian_world().null_edit()
    draws = Draws(9, torch.float64)

    async def rounding(x, level, prompt, **more):
        pred = await world.model(x, level, prompt, **more)
        return Prediction(pred.pair + 1e-6 * draws.tensor(*pred.pair.shape))

    (made,) = run(world.call(stage, model=rounding, rounds=20, optimizer="adam", rate=0.03))
    assert (made.data - world.latents.data).abs().max() < 0.1 * 20 * 0.03


@beside
def test_the_source_is_the_picture_that_the_turn_began_with(stage):
    """An edit that begins elsewhere is led back to the source where the prompts agree."""
    world = guided().null_edit()
    other = replace(world.latents, data=world.latents.data + 0.5)
    source = SourceLatents(world.latents.data, world.latents.canvas)
    (made,) = run(world.call(stage, latents=other, source=source, rounds=8, optimizer="adam", rate=0.02))
    assert not torch.equal(made.data, other.data)


@each
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_not_a_bit_moves_where_the_mask_keeps(stage, optimizer):
    world = guided()
    area = torch.zeros(8, 8)
    area[2:5, 3:7] = 1
    area[0, 0] = 0.5
    (made,) = run(world.call(stage, mask=Mask(area, scale=4), rounds=3, optimizer=optimizer))
    moved = (made.data != world.latents.data).any(0)
    assert torch.equal(moved, area > 0)
    (free,) = run(world.call(stage, rounds=1, optimizer=optimizer))
    (soft,) = run(world.call(stage, mask=Mask(area, scale=4), rounds=1, optimizer=optimizer))
    step, half = ((made.data - world.latents.data)[:, 0, 0] for made in (free, soft))
    assert torch.allclose(half, step / 2, atol=1e-6), "a soft mask does not take half of the step"


@each
def test_an_empty_mask_asks_nothing_and_gives_the_picture_back(stage):
    world = guided()
    empty = Mask(torch.zeros(8, 8), scale=4)
    assert not count_rows(lambda: world.call(stage, mask=empty, rounds=3))
    (made,) = run(world.call(stage, mask=empty, rounds=3))
    assert made is world.latents


@each
def test_alone_and_in_company_the_bits_are_the_same(stage):
    world = guided()
    laws.batch_law(lambda seed: world.neighbour(seed).call(stage, rounds=2), count=2)


def test_other_levels_are_drawn_for_other_seeds_and_none_outside_the_bounds():
    world = guided()
    many = partial(drawn, world.schedule, 200)
    once, again = (many(0.2, 0.8, replace(world.noise, seed=seed)) for seed in (1, 2))
    assert once != again
    order = [step.noisy.timestep for step in world.schedule.ascending()]
    assert {step.noisy.timestep for step in once} == set(order[1:4])


def test_levels_that_fall_go_from_the_noisiest_to_the_cleanest_between_the_bounds():
    world = guided()
    order = [step.noisy.timestep for step in world.schedule.ascending()]
    times = [step.noisy.timestep for step in falling(world.schedule, 5, 0.2, 0.8)]
    assert times == sorted(times, reverse=True)
    assert set(times) == set(order[1:4])
    (alone,) = falling(world.schedule, 1, 0.2, 0.8)
    assert alone.noisy.timestep == order[3]


def test_every_draw_is_asked_for_and_the_first_is_the_one_that_was_drawn_alone():
    world = guided()
    assert laws.rows_law(sds, world, facts={"guide": 2}, rounds=3, draws=4) == 24
    made = [run(world.call(sds, rounds=1, draws=draws, rate=1.0))[0].data for draws in (1, 2)]
    gap = (made[0] - made[1]).abs().max()
    assert 1e-4 < gap < (made[0] - world.latents.data).abs().max()
    laws.batch_law(lambda seed: world.neighbour(seed).call(sds, rounds=2, draws=2, share=0.5), count=2)


@pytest.mark.parametrize("masked", [False, True])
def test_no_more_cells_than_the_share_differ_and_they_are_those_that_change_most(masked):
    world, area = guided(), torch.zeros(8, 8)
    area[2:6, 2:7] = 1
    ports = {"mask": Mask(area, scale=4)} if masked else {}
    found = [run(world.call(sds, **ports, rounds=1, rate=1.0, share=share))[0].data for share in (1.0, 0.3)]
    whole, made = found
    moved = (made != world.latents.data).any(0)
    assert int(moved.sum()) == (6 if masked else 20)  # 0.3 of 20 cells, or of 64
    assert not masked or not moved[area == 0].any()
    assert torch.equal(made[:, moved], whole[:, moved]), "a cell that may differ is not what it would be"
    change = (whole - world.latents.data).abs().mean(0)
    assert change[moved].mean() > change[~moved].mean()
