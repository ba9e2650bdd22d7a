"""One loop walks every inversion, under every control, guidance and blend; nothing in it knows a method."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import torch

from retouch.api import Blend, Mask
from retouch.run.executor import run
from retouch.testing.gaussian import GaussianMixture
from retouch.testing.laws import replay_law, source_law
from retouch.testing.worlds import gaussian_world, tiny_world
from retouch_methods.blend.latent import latent
from retouch_methods.guide.cfg import cfg
from retouch_methods.invert.cycle_diffusion import cycle_diffusion
from retouch_methods.invert.ddim import ddim
from retouch_methods.invert.edict import edict
from retouch_methods.invert.edit_friendly import edit_friendly
from retouch_methods.invert.fixed_point import fixed_point
from retouch_methods.invert.null_text import null_text
from retouch_methods.sample.sample import sample
from tests.laws.by_hand import p2p

CONVENTIONS = ("target", "source", "fixed_point")
GUIDED, STRONG = cfg(guidance=3.0), cfg(guidance=7.5)


def end_of_flow(world):
    """Where the exact ODE takes the picture."""
    core = world.model.core
    assert isinstance(core, GaussianMixture)
    return core.flow(world.latents.data, world.schedule.levels[-1], world.schedule.levels[0], component=0)


@pytest.mark.parametrize("convention", ["target", "source"])
def test_ddim_inversion_nears_the_exact_flow_as_one_over_the_number_of_steps(convention):
    errors = []
    for steps in (25, 100, 250):
        world = gaussian_world(steps=steps)
        (made,) = run(world.call(ddim, convention=convention))
        errors.append(float((made.states[0, 0] - end_of_flow(world)).abs().max()))
    assert errors[0] < 0.5
    assert errors[0] / 5 < errors[1] < errors[0] / 3
    assert errors[1] / 3.2 < errors[2] < errors[1] / 2


@pytest.mark.parametrize("steps", [10, 50])
def test_the_fixed_point_undoes_ddim_exactly(steps):
    options = {"convention": "fixed_point", "iterations": 50}
    assert replay_law(ddim, gaussian_world(steps=steps), tolerance=1e-12, **options) <= 1e-12


def test_the_fixed_point_is_nearer_with_every_round():
    errors = [replay_law(ddim, convention="fixed_point", iterations=n, tolerance=1.0) for n in (1, 3, 6, 12)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < errors[0] / 20


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_pinned_ddim_keeps_the_source_bit_for_bit_under_any_guidance(convention):
    for world in (gaussian_world(), tiny_world(), replace(tiny_world(), guidance=GUIDED)):
        source_law(ddim, world, pinned="always", convention=convention)


def test_ddim_nears_the_picture_without_guidance_and_not_with_it():
    world = gaussian_world(steps=200, apart=0.1)
    plain = replay_law(ddim, world, tolerance=1.0)
    assert plain < 0.04
    assert replay_law(ddim, replace(world, guidance=STRONG), tolerance=1.0) > 2 * plain


def test_null_text_leads_guided_sampling_back_to_where_it_goes_without_guidance():
    world = gaussian_world(steps=10, apart=0.1).null_edit()
    guided = replace(world, guidance=STRONG)

    def replay(here, invert, **options):
        (made,) = run(here.call(invert, **options))
        return run(here.call(sample, trajectory=made))[0].data

    wanted = replay(world, ddim)
    astray = (replay(guided, ddim) - wanted).abs().max()
    tuned = (replay(guided, null_text, inner_steps=30, lr=0.1, stop=0.0) - wanted).abs().max()
    assert tuned < astray / 20


INVERSIONS = {
    "ddim free": ddim,
    "ddim pinned": partial(ddim, pinned="always"),
    "null_text": partial(null_text, inner_steps=1),
    "edict": edict,
    "edit_friendly": edit_friendly,
    "cycle_diffusion": cycle_diffusion,
    "fixed_point": partial(fixed_point, iterations=1),
}
WORLDS = {
    "epsilon, float32": ("epsilon", torch.float32),
    "v, float32": ("v_prediction", torch.float32),
    "v, float64": ("v_prediction", torch.float64),
}


P2P = (p2p(),)


def edited(world, trajectory, blends=(), attend=P2P):
    """The edit, and the source as the loop saw it last."""
    ends = []
    spy = Blend(lambda state, source, step, maps: (ends.append(source), state)[1])
    (out,) = run(world.call(sample, trajectory=trajectory, attend=attend, blend=(*blends, spy)))
    return out.data, ends[-1][0].to(out.data)


@pytest.mark.crossed
@pytest.mark.parametrize("name", INVERSIONS)
@pytest.mark.parametrize("kind", WORLDS)
def test_masked_edits_keep_the_source_outside_and_the_edit_inside(name, kind):
    prediction, dtype = WORLDS[kind]
    world = replace(tiny_world(prediction, steps=4, dtype=dtype), guidance=GUIDED)
    (made,) = run(world.call(INVERSIONS[name]))
    half = (torch.arange(64).view(8, 8) % 3 == 0).to(dtype)

    def masked(data):
        return edited(world, made, [world.call(latent, mask=Mask(data, scale=4))])

    free, _ = edited(world, made)
    out, source = masked(half)
    assert torch.equal(out[:, half == 0], source[:, half == 0])
    assert not torch.equal(out[:, half == 1], source[:, half == 1])
    nothing, source = masked(torch.zeros(8, 8, dtype=dtype))
    assert torch.equal(nothing, source)
    if made.pinned:
        assert torch.equal(nothing, world.latents.data)
    alone, _ = edited(world, made, [world.call(latent, mask=Mask(0 * half, scale=4))], attend=())
    assert torch.equal(alone, world.latents.data), "where only a blend reads the source, it is replayed"
    everything, _ = masked(torch.ones(8, 8, dtype=dtype))
    assert torch.equal(everything, free)


@pytest.mark.parametrize("name", INVERSIONS)
def test_a_control_moves_the_edit_of_every_inversion(name):
    world = replace(tiny_world(steps=4), guidance=GUIDED)
    (made,) = run(world.call(INVERSIONS[name]))
    assert (edited(world, made)[0] - edited(world, made, attend=())[0]).abs().max() > 0.01


def test_the_source_is_not_evaluated_where_nothing_reads_it():
    world = gaussian_world(steps=4)
    (pinned,) = run(world.call(ddim, pinned="always"))
    mask = world.call(latent)
    for trajectory, blends, rows in (
        (pinned, (mask,), 1),
        (replace(pinned, pinned=None), (mask,), 1),
        (replace(pinned, pinned=False), (mask,), 2),
        (pinned, (), 1),
    ):
        world.model.core.forwards.clear()
        run(world.call(sample, trajectory=trajectory, blend=blends))
        assert world.model.core.forwards == [rows] * 4


def test_float64_rows_of_edict_share_forwards_with_float32_rows_of_ddim():
    world = replace(gaussian_world(steps=4, dtype=torch.float32), guidance=GUIDED)
    run(world.call(edict, strength=1.0), world.call(ddim))
    assert world.model.core.forwards == [3, 3, 3, 3, 2, 2, 2, 2]
