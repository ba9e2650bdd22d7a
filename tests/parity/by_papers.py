"""What loops of papers are transcribed with: given draws, the raw network's noise, levels, latents on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from retouch.api import Blend
from retouch.run.executor import run
from retouch.testing.worlds import World, tiny_world
from retouch_methods.guide.cfg import cfg
from retouch_methods.sample.sample import sample

STEPS, SCALE = 4, 3.0  # of the worlds that loops are compared in


@dataclass(frozen=True)
class Given:
    """Noise that was drawn elsewhere."""

    draws: Tensor

    def normal(self, count, like):
        assert self.draws.shape == (count, *like.shape)
        return self.draws.to(like)


def drawn(count, seed=1):
    """Draws one by one, as a pipeline asks for them."""
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([torch.randn(1, 4, 8, 8, generator=generator)[0] for _ in range(count)])


def eps_of(world: World, kind, x, level, prompt, scale=1.0, negative=None):
    """The noise that the raw network predicts at (alpha, sigma, timestep), guided by hand."""
    alpha, sigma, t = level

    def one(embeds):
        out = world.model.core.module(x[None], torch.tensor([float(t)]), encoder_hidden_states=embeds[None]).sample[0]
        return out if kind == "epsilon" else alpha * out + sigma * x

    if negative is None:
        return one(prompt.embeds)
    away = one(negative.embeds)
    return away + scale * (one(prompt.embeds) - away)


def grid(world: World, kept=None):
    """[(alpha, sigma, timestep)] of all steps or the last `kept`, cleanest first."""
    levels = [(level.alpha, level.sigma, level.timestep) for level in reversed(world.schedule.levels)]
    return levels if kept is None else levels[: kept + 1]


def moments(low, high, eta):
    """Standard deviation of a step's new noise, and what is left for the old: DDIM, eq. 16 and 12."""
    a_t, a_s = high[0] ** 2, low[0] ** 2
    new = eta * ((1 - a_s) / (1 - a_t) * (1 - a_t / a_s)) ** 0.5
    return new, (1 - a_s - new**2) ** 0.5


def walked(world: World, trajectory):
    """The latent of the edit after every step, by the loop that recipes use."""
    seen: list[Tensor] = []
    spy = Blend(lambda state, source, step, maps: (seen.append(state[0]), state)[1])
    run(world.call(sample, trajectory=trajectory, blend=(spy,)))
    return seen


def guided_world(kind, dtype, scale=SCALE):
    """A tiny world of few steps under plain guidance."""
    return replace(tiny_world(kind, steps=STEPS, dtype=dtype), guidance=cfg(guidance=scale))


def same(mine, wanted, dtype):
    """To 1e-5 relative in float32, to 1e-10 in float64."""
    assert (mine - wanted).norm() <= (1e-5 if dtype == torch.float32 else 1e-10) * wanted.norm()


def down(x, eps, high, low):
    """DDIM's step, from high to low."""
    return low[0] * (x - high[1] * eps) / high[0] + low[1] * eps


def pivot(world, kind, guidance=1.0):
    """DDIM's latents in the target-time convention, noisiest first, read at the level whose time is told."""
    path, edit = [world.latents.data], world.edit
    for low, high in pairwise(grid(world)):
        path.append(
            down(path[-1], eps_of(world, kind, path[-1], high, edit.source, guidance, edit.negative), low, high)
        )
    return path[::-1]


class ShowsMaps:
    """Attention of diffusers that makes every map, and lets a controller have them and whether they are of words."""

    def __init__(self, controller: Callable[[Tensor, bool], Tensor]) -> None:
        self.controller = controller

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, **_):
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        q, k, v = (
            rows.unflatten(-1, (attn.heads, -1)).transpose(1, 2)
            for rows in (attn.to_q(hidden_states), attn.to_k(context), attn.to_v(context))
        )
        maps = (q @ k.transpose(-1, -2) * attn.scale).softmax(-1)
        maps = self.controller(maps, encoder_hidden_states is not None)
        return attn.to_out[0]((maps @ v).transpose(1, 2).flatten(2))
