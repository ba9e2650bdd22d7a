"""Methods of flow models give what the authors' loops give, transcribed here on the raw network."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch.nn import functional as F

from retouch.api import Canvas, Latents, Mask, Site, SiteCall
from retouch.run.executor import run
from retouch.testing.worlds import tiny_world
from retouch_methods.attend.background import background
from retouch_methods.guide.cfg import cfg
from retouch_methods.guide.norm import norm
from retouch_methods.invert.fireflow import fireflow
from retouch_methods.invert.flowedit import flowedit
from retouch_methods.invert.rf_inversion import rf_inversion
from retouch_methods.invert.rf_solver import rf_solver
from retouch_methods.invert.uniinv import uniinv
from retouch_methods.sample.sample import sample
from tests.parity.by_papers import Given, drawn, eps_of, grid, walked

STEPS, SOURCE, TARGET = 6, 1.5, 5.5


def flow_world(guidance=1.0):
    return replace(tiny_world("flow", steps=STEPS, dtype=torch.float64), guidance=cfg(guidance=guidance))


def velocity(world, x, t, prompt, scale=1.0):
    """What the network says at time t of a flow, guided by hand."""

    def one(embeds):
        module = world.model.core.module
        return module(x[None], torch.tensor([1000 * t]), encoder_hidden_states=embeds[None]).sample[0]

    if scale == 1:
        return one(prompt.embeds)
    away = one(world.edit.negative.embeds)
    return away + scale * (one(prompt.embeds) - away)


def times(world):
    """From 1 to 0."""
    return [level.sigma for level in world.schedule.levels]


def same(mine, wanted):
    assert (mine - wanted).norm() <= 1e-10 * wanted.norm()


class TestFlowEdit:
    """Kulikov et al. 2024."""

    def authors(self, world, draws, n_max, n_min, n_avg):
        """FlowEditSD3, with a draw for each average of each step, and the first of its own for the plain steps."""
        x_src, edit, fresh = world.latents.data, world.edit, iter(draws)
        z, ts = x_src.clone(), times(world)
        for i, (t, t_next) in enumerate(pairwise(ts)):
            left = STEPS - i
            if left > n_max:
                continue
            noises = [next(fresh) for _ in range(n_avg)]
            if left > n_min:
                moved = torch.zeros_like(x_src)
                for noise in noises:
                    z_src = (1 - t) * x_src + t * noise
                    z_tar = z + z_src - x_src
                    of_target = velocity(world, z_tar, t, edit.target, TARGET)
                    moved = moved + (of_target - velocity(world, z_src, t, edit.source, SOURCE)) / n_avg
                z = z + (t_next - t) * moved
            else:
                if left == n_min:
                    x_tar = z + (1 - t) * x_src + t * noises[0] - x_src
                x_tar = x_tar + (t_next - t) * velocity(world, x_tar, t, edit.target, TARGET)
        return x_tar if n_min else z

    @pytest.mark.parametrize(("n_max", "n_min", "n_avg"), [(6, 0, 1), (4, 0, 1), (4, 0, 3), (4, 1, 1), (6, 3, 2)])
    def test_on_flow_the_edit_is_the_published_one(self, n_max, n_min, n_avg):
        world, draws = flow_world(TARGET), drawn(n_max * n_avg).double()
        options = {"strength": n_max / STEPS, "average": n_avg, "until": 1 - n_min / n_max, "source_guidance": SOURCE}
        (made,) = run(world.call(flowedit, noise=Given(draws), **options))
        (mine,) = run(world.call(sample, trajectory=made))
        with torch.no_grad():
            same(mine.data, self.authors(world, draws, n_max, n_min, n_avg))

    def with_noise(self, world, kind, draws, kept):
        """The same path for a model of noise, in coordinates x / alpha, where its ODE is dy = eps d(sigma / alpha)."""
        x_src, edit = world.latents.data, world.edit
        moved = torch.zeros_like(x_src)
        for noise, (high, low) in zip(draws, pairwise(grid(world, kept)[::-1]), strict=True):
            z_src = high[0] * x_src + high[1] * noise
            z_tar = z_src + high[0] * moved
            target = eps_of(world, kind, z_tar, high, edit.target, TARGET, edit.negative)
            source = eps_of(world, kind, z_src, high, edit.source, SOURCE, edit.negative)
            moved = moved + (low[1] / low[0] - high[1] / high[0]) * (target - source)
        return x_src + low[0] * moved

    @pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
    def test_on_models_of_noise_it_is_the_difference_of_two_ddim_walks(self, kind):
        kept = 4
        world = replace(tiny_world(kind, steps=STEPS, dtype=torch.float64), guidance=cfg(guidance=TARGET))
        draws = drawn(kept).double()
        options = {"strength": kept / STEPS, "source_guidance": SOURCE}
        (made,) = run(world.call(flowedit, noise=Given(draws), **options))
        (mine,) = run(world.call(sample, trajectory=made))
        with torch.no_grad():
            same(mine.data, self.with_noise(world, kind, draws, kept))


class TestRfSolver:
    """Wang et al. 2024: a Taylor step, its derivative a difference over a share of it, which is half in their code."""

    def step(self, world, x, here, there, prompt, ahead):
        pred = velocity(world, x, here, prompt)
        later = velocity(world, x + ahead * (there - here) * pred, here + ahead * (there - here), prompt)
        first_order = (later - pred) / (ahead * (there - here))
        return x + (there - here) * pred + 0.5 * (there - here) ** 2 * first_order

    @pytest.mark.parametrize("ahead", [0.5, 0.1, 1.0])
    def test_both_walks_are_the_authors_taylor_steps(self, ahead):
        world = flow_world()
        (made,) = run(world.call(rf_solver, ahead=ahead))
        with torch.no_grad():
            x = world.latents.data
            for mine, (low, high) in zip(made.states.flip(0)[1:, 0], pairwise(times(world)[::-1]), strict=True):
                x = self.step(world, x, low, high, world.edit.source, ahead)
                same(mine, x)
            for mine, (high, low) in zip(walked(world, made), pairwise(times(world)), strict=True):
                x = self.step(world, x, high, low, world.edit.target, ahead)
                same(mine, x)


class TestFireFlow:
    """Deng et al. 2024: denoise_fireflow."""

    def loop(self, world, x, ts, prompt):
        kept = None
        for here, there in pairwise(ts):
            pred = velocity(world, x, here, prompt) if kept is None else kept
            kept = velocity(world, x + (there - here) / 2 * pred, here + (there - here) / 2, prompt)
            x = x + (there - here) * kept
            yield x

    def test_both_walks_are_the_authors(self):
        world = flow_world()
        (made,) = run(world.call(fireflow))
        with torch.no_grad():
            up = list(self.loop(world, world.latents.data, times(world)[::-1], world.edit.source))
            for mine, x in zip(made.states.flip(0)[1:, 0], up, strict=True):
                same(mine, x)
            down = self.loop(world, up[-1], times(world), world.edit.target)
            for mine, x in zip(walked(world, made), down, strict=True):
                same(mine, x)


class TestUniInv:
    """Jiao et al. 2025: denoise_uniinv, and their scheduler for models of noise."""

    @pytest.mark.parametrize("first", ["asked", "still"])
    def test_on_flow_the_walk_up_is_the_authors(self, first):
        world, kept = flow_world(), 4
        (made,) = run(world.call(uniinv, first=first, strength=kept / STEPS))
        with torch.no_grad():
            x, source = world.latents.data, world.edit.source
            pred = velocity(world, x, 0.0, source) if first == "asked" else torch.zeros_like(x)
            for mine, (low, high) in zip(made.states.flip(0)[1:, 0], pairwise(times(world)[::-1]), strict=False):
                pred = velocity(world, x + (high - low) * pred, high, source)
                x = x + (high - low) * pred
                same(mine, x)

    def test_on_models_of_noise_it_moves_by_ddim(self):
        world = tiny_world("epsilon", steps=STEPS, dtype=torch.float64)
        (made,) = run(world.call(uniinv))

        def moved(x, eps, low, high):
            return high[0] * (x - low[1] * eps) / low[0] + high[1] * eps

        with torch.no_grad():
            x, source, levels = world.latents.data, world.edit.source, grid(world)
            eps = eps_of(world, "epsilon", x, levels[0], source)
            for mine, (low, high) in zip(made.states.flip(0)[1:, 0], pairwise(levels), strict=True):
                eps = eps_of(world, "epsilon", moved(x, eps, low, high), high, source)
                x = moved(x, eps, low, high)
                same(mine, x)


class TestRfInversion:
    """Rout et al. 2024, algorithms 1 and 2.  On the way up diffusers' pipeline tells i / (N + 1) as the time."""

    @pytest.mark.parametrize("words", ["none", "source"])
    def test_both_walks_are_those_of_the_algorithms(self, words):
        world, gamma, eta, until = flow_world(), 0.4, 0.7, 0.5
        goal = drawn(1).double()
        options = {"gamma": gamma, "eta": eta, "start": 1 / STEPS, "until": until, "words": words}
        (made,) = run(world.call(rf_inversion, noise=Given(goal), **options))
        told, x0 = (world.edit.source if words == "source" else world.edit.negative), world.latents.data
        with torch.no_grad():
            x, n = x0, STEPS
            for i, mine in enumerate(made.states.flip(0)[1:, 0]):
                u = velocity(world, x, i / n, told)
                x = x + (u + gamma * ((goal[0] - x) / (1 - i / n) - u)) / n
                same(mine, x)
            for i, mine in enumerate(walked(world, made)):
                v = -velocity(world, x, 1 - i / n, world.edit.target)
                if 1 <= i < until * n:
                    v = v + eta * ((x0 - x) / (1 - i / n) - v)
                x = x + v / n
                same(mine, x)


class TestBackground:
    """Zhu et al. 2025: the source's keys and values, in which those of the mask's tokens are the edit's own."""

    @pytest.mark.parametrize(("scale", "size"), [(1, (8, 8)), (2, (8, 8)), (4, (8, 8)), (2, (5, 7))])
    def test_keys_and_values_are_the_authors(self, scale, size):
        tokens = -(-size[0] // scale) * -(-size[1] // scale)
        area = torch.zeros(size)
        area[2, 3] = 0.3  # any cell of a token that is edited at all makes it one of the mask's
        area[4:, 1:3] = 1.0
        control = background(Latents(torch.zeros(4, *size), Canvas(4 * size[0], 4 * size[1], 4)), Mask(area, 4))
        k, v = torch.randn(2, 4, 2, tokens, 3, generator=torch.Generator().manual_seed(1))
        roles = [("source", "uncond"), ("source", "cond"), ("target", "uncond"), ("target", "cond")]
        wanted_k, wanted_v = k.clone(), v.clone()
        padded = F.pad(area, (0, -size[1] % scale, 0, -size[0] % scale))
        cells = padded.unflatten(1, (-1, scale)).unflatten(0, (-1, scale)).amax((1, 3)).flatten()
        inside = cells.nonzero()[:, 0]
        for wanted, given in ((wanted_k, k), (wanted_v, v)):
            for source, target in ((0, 2), (1, 3)):
                shared = given[source].clone()
                shared[:, inside] = given[target][:, inside]
                wanted[target] = shared
        site = Site("down.0.attn1", "self", "down", 0, scale)
        (_, act), *_ = control.acts
        act(SiteCall(site, roles, k=k, v=v))
        assert torch.equal(k, wanted_k)
        assert torch.equal(v, wanted_v)
        assert 0 < len(inside) < tokens


class TestNorm:
    """Qwen-Image's pipeline, on its packed tokens of 2 x 2 cells."""

    def test_the_guided_prediction_has_the_length_of_the_conditional_in_each_token(self):
        world, scale = flow_world(), 4.0
        x, level = world.latents.data, world.schedule.steps[2].noisy
        (pred,) = run(norm(guidance=scale)(world.model, x, level, world.edit.target, world.edit.negative))

        def packed(said):
            return said.unflatten(2, (4, 2)).unflatten(1, (4, 2)).permute(1, 3, 0, 2, 4).flatten(2).flatten(0, 1)

        with torch.no_grad():
            cond = packed(velocity(world, x, level.sigma, world.edit.target))
            away = packed(velocity(world, x, level.sigma, world.edit.negative))
            comb = away + scale * (cond - away)
            comb = comb * (cond.norm(dim=-1, keepdim=True) / comb.norm(dim=-1, keepdim=True))
        same(packed(pred.velocity), comb)
