"""Edit-friendly DDPM with Prompt-to-Prompt after skipping 36 % of the steps, as the authors of the former run it.

Their controller counts the steps that are executed, from 0, and takes its fractions of all steps: 0.6 and 0.2 of 25 are
15 words' steps and 5 pixels' steps of the 16 that are left.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from retouch.run.executor import run
from retouch.testing.tiny import tiny_core
from retouch.testing.worlds import World, tiny_world
from retouch_methods.attend.p2p import p2p
from retouch_methods.guide.cfg import cfg
from retouch_methods.invert.edit_friendly import edit_friendly
from retouch_methods.sample.sample import sample
from tests.parity.by_papers import ShowsMaps

STEPS, SKIPPED = 25, 9
TAKEN = STEPS - SKIPPED
CROSS, SELF = 0.6, 0.2  # the authors' xa and sa
SOURCE_SCALE, TARGET_SCALE = 3.5, 15.0


@dataclass
class Controller:
    """Attention replacement of two prompts of as many tokens; rows [uncond, uncond, cond, cond]."""

    step: int = 0

    def __call__(self, maps: Tensor, is_cross: bool) -> Tensor:
        """maps: Tensor  # [4, heads, pixels, tokens]"""
        if is_cross:
            window = torch.zeros(STEPS + 1)
            window[: int(CROSS * (STEPS + 1))] = 1
            maps[3] = maps[2] * window[self.step] + maps[3] * (1 - window[self.step])
        elif int(0 * STEPS) <= self.step < int(STEPS * SELF) and maps.shape[2] <= 16**2:
            maps[3] = maps[2]
        return maps


@dataclass(frozen=True)
class Given:
    """Noise that was drawn elsewhere."""

    draws: Tensor

    def normal(self, count, like):
        return self.draws[:count].to(like)


@torch.no_grad()
def naive(world: World, draws: Tensor) -> Tensor:
    """Forward process over the levels that are kept, then both rows back with the controller in the network."""
    plain = tiny_core(dtype=torch.float64).module
    edit, x0 = world.edit, world.latents.data
    levels = [(level.alpha, level.sigma, level.timestep) for level in world.schedule.levels[SKIPPED:]]

    def eps(rows, prompts, level):
        context = torch.stack([each.embeds for each in prompts])
        return plain(torch.stack(rows), torch.full((len(rows),), float(level[2])), encoder_hidden_states=context).sample

    def moments(high, low):
        a_t, a_s = high[0] ** 2, low[0] ** 2
        new = ((1 - a_s) / (1 - a_t) * (1 - a_t / a_s)) ** 0.5
        return new, (1 - a_s - new**2) ** 0.5

    def mean(x, noise, high, low):
        return low[0] * (x - high[1] * noise) / high[0] + moments(high, low)[1] * noise

    xts = [high[0] * x0 + high[1] * draw for high, draw in zip(levels[:-1], draws, strict=True)] + [x0]
    zs = []
    for i, (high, low) in enumerate(pairwise(levels)):
        away, toward = eps([xts[i]] * 2, (edit.negative, edit.source), high)
        mu, std = mean(xts[i], away + SOURCE_SCALE * (toward - away), high, low), moments(high, low)[0]
        zs.append((xts[i + 1] - mu) / std)
        xts[i + 1] = mu + std * zs[-1]
    controller = Controller()
    plain.set_attn_processor(ShowsMaps(controller))
    x = y = xts[0]
    for z, (high, low) in zip(zs, pairwise(levels), strict=True):
        prompts = (edit.negative, edit.negative, edit.source, edit.target)
        away_x, away_y, toward_x, toward_y = eps([x, y, x, y], prompts, high)
        controller.step += 1
        x = mean(x, away_x + SOURCE_SCALE * (toward_x - away_x), high, low) + moments(high, low)[0] * z
        y = mean(y, away_y + TARGET_SCALE * (toward_y - away_y), high, low) + moments(high, low)[0] * z
    torch.testing.assert_close(x, x0, rtol=0, atol=1e-9)
    return y


@pytest.fixture(scope="module")
def world():
    return replace(tiny_world(steps=STEPS, dtype=torch.float64), guidance=cfg(guidance=TARGET_SCALE))


@pytest.mark.thorough
def test_prompt_to_prompt_after_skipped_steps_is_that_of_executed_steps(world):
    draws = torch.randn(TAKEN, 4, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    options = {"source_guidance": SOURCE_SCALE, "strength": TAKEN / STEPS}
    (made,) = run(world.call(edit_friendly, noise=Given(draws), **options))

    def edited(**windows):
        return run(world.call(sample, trajectory=made, attend=(world.call(p2p, **windows),)))[0].data

    wanted = naive(world, draws)
    words, pixels = int(CROSS * (STEPS + 1)), int(SELF * STEPS)
    found = edited(cross_replace=words / TAKEN, self_replace=pixels / TAKEN)
    torch.testing.assert_close(found, wanted, rtol=0, atol=float(1e-10 * wanted.abs().max()))
    for other in ((words - 1, pixels), (words, pixels - 1), (words, pixels + 1)):
        assert (edited(cross_replace=other[0] / TAKEN, self_replace=other[1] / TAKEN) - wanted).abs().max() > 1e-6
