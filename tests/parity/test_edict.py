"""EDICT (Wallace et al. 2022), with the two maps and the order of the authors' code."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from retouch.run.executor import run
from retouch.testing.worlds import tiny_world
from retouch_methods.guide.cfg import cfg
from retouch_methods.invert.edict import edict
from retouch_methods.sample.sample import sample
from tests.parity.by_papers import eps_of, grid

STEPS = 6
KINDS = ["epsilon", "v_prediction"]
P, SCALE = 0.93, 3.0


def naive(world, kind, kept):
    """[(X, Y)] from the picture to noise, and where the target prompt leads from there."""

    def towards(prompt, x, level):
        return eps_of(world, kind, x, level, prompt, SCALE, world.edit.negative)

    def noisier(u, e, low, high):
        ratio = high[0] / low[0]
        return ratio * u + high[1] * e - ratio * low[1] * e

    def cleaner(u, e, low, high):
        ratio = high[0] / low[0]
        return u / ratio - high[1] / ratio * e + low[1] * e

    p, levels = P, grid(world, kept)
    x = y = world.latents.data
    path = [(x, y)]
    for i, (low, high) in zip(reversed(range(kept)), pairwise(levels), strict=True):
        y = (y - (1 - p) * x) / p
        x = (x - (1 - p) * y) / p
        if i % 2 == 0:
            y = noisier(y, towards(world.edit.source, x, high), low, high)
            x = noisier(x, towards(world.edit.source, y, high), low, high)
        else:
            x = noisier(x, towards(world.edit.source, y, high), low, high)
            y = noisier(y, towards(world.edit.source, x, high), low, high)
        path.append((x, y))
    for i, (low, high) in enumerate(reversed(list(pairwise(levels)))):
        if i % 2 == 0:
            x = cleaner(x, towards(world.edit.target, y, high), low, high)
            y = cleaner(y, towards(world.edit.target, x, high), low, high)
        else:
            y = cleaner(y, towards(world.edit.target, x, high), low, high)
            x = cleaner(x, towards(world.edit.target, y, high), low, high)
        x = p * x + (1 - p) * y
        y = (1 - p) * x + p * y
    return path, x


@pytest.mark.crossed
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("kept", [3, 6])
def test_states_and_edit_are_those_of_a_transcription(kind, kept):
    world = tiny_world(kind, steps=STEPS, dtype=torch.float64)
    world = replace(world, guidance=cfg(guidance=SCALE))
    with torch.no_grad():
        path, edited = naive(world, kind, kept)
    (made,) = run(world.call(edict, strength=kept / STEPS, mix=P))
    wanted = torch.stack([torch.stack(pair) for pair in reversed(path)])
    torch.testing.assert_close(made.states, wanted, rtol=0, atol=float(1e-11 * wanted.abs().max()))
    (out,) = run(world.call(sample, trajectory=made))
    torch.testing.assert_close(out.data, edited, rtol=0, atol=float(1e-10 * edited.abs().max()))
    assert (out.data - world.latents.data).abs().max() > 0.1


def test_a_network_in_float32_walks_nearly_the_same_way():
    wide, narrow = (
        replace(tiny_world(steps=STEPS, dtype=dtype), guidance=cfg(guidance=SCALE))
        for dtype in (torch.float64, torch.float32)
    )
    one, two = (run(world.call(edict))[0].states for world in (wide, narrow))
    assert two.dtype == torch.float64
    assert (one - two).norm() <= 1e-5 * one.norm()
