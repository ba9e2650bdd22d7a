"""Proximal guidance beside a naive transcription of the authors' step."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from retouch.run.executor import run
from retouch.testing import laws
from retouch_methods.guide.proximal import proximal
from retouch_methods.invert.ddim import ddim
from retouch_methods.invert.negative_prompt import negative_prompt
from tests.parity.by_papers import (
    SCALE,
    STEPS,
    eps_of,
    grid,
    guided_world,
    pivot,
    same,
    walked,
)


class TestProximal:
    """Han et al. 2023, after negative-prompt inversion."""

    QUANTILE, BELOW = 0.7, 600

    def naive(self, world, kind, norm, over, pull, to):
        """The authors' step on source and target; the source's row is not guided, as its two prompts are one."""
        edit, x0 = world.edit, world.latents.data
        (start, *goals), levels = pivot(world, kind), grid(world)[::-1]
        x, path = torch.stack((start, start)), []
        for goal, (high, low) in zip(goals, pairwise(levels), strict=True):
            uncond = torch.stack([eps_of(world, kind, row, high, edit.source) for row in x])
            cond = torch.stack(
                [eps_of(world, kind, row, high, p) for row, p in zip(x, (edit.source, edit.target), strict=True)]
            )
            delta = cond - uncond
            t = (delta if over == "pair" else delta[1:]).abs().quantile(self.QUANTILE)
            if norm == "l0":
                delta = delta * (delta.abs() > t)
                edited = delta != 0
            else:
                delta = delta - delta.clamp(-t, t)
                if norm == "l1_official":
                    delta = torch.where(delta > 0, delta - t, delta)
                    delta = torch.where(delta < 0, delta + t, delta)
                edited = delta.abs() > t
            eps = uncond + SCALE * delta
            clean = (x - high[1] * eps) / high[0]
            rest = 1 - torch.nn.functional.max_pool2d(edited.to(x), 3, 1, 1)
            if high[2] < self.BELOW and to == "picture":
                clean = clean - pull * (clean - x0) * rest
            x = low[0] * clean + low[1] * eps
            if high[2] < self.BELOW and to == "inversion":
                x = x - pull * (x - goal) * rest
            path.append(x[1])
        return path

    @pytest.mark.crossed
    @pytest.mark.parametrize("norm", ["l0", "l1", "l1_official"])
    @pytest.mark.parametrize(("over", "pull"), [("row", 0.0), ("pair", 0.0), ("pair", 0.7), ("pair", 1.0)])
    @pytest.mark.parametrize("to", ["picture", "inversion"])
    def test_every_latent_is_that_of_the_authors_step(self, norm, over, pull, to):
        world = guided_world("epsilon", torch.float64)
        options = {"norm": norm, "over": over, "pull": pull, "quantile": self.QUANTILE, "pull_below": self.BELOW}
        options["pull_to"] = to
        (guide,) = run(world.call(proximal, guidance=SCALE, **options))
        world = replace(world, guidance=guide)
        (made,) = run(world.call(negative_prompt))
        with torch.no_grad():
            wanted = self.naive(world, "epsilon", norm, over, pull, to)
        for mine, other in zip(walked(world, made), wanted, strict=True):
            same(mine, other, torch.float64)

    def test_with_no_threshold_and_no_pull_it_is_plain_guidance(self):
        world = guided_world("epsilon", torch.float64)
        (made,) = run(world.call(ddim))
        plain = walked(world, made)[-1]
        (guide,) = run(world.call(proximal, guidance=SCALE, quantile=0.0, norm="l0"))
        soft = replace(world, guidance=guide)
        assert (walked(soft, made)[-1] - plain).norm() <= 1e-3 * plain.norm()  # the least of all values is dropped

    @pytest.mark.parametrize(("options", "rows"), [({}, 0), ({"pull": 0.5}, 0), ({"pull_to": "inversion"}, 0)])
    def test_it_walks_up_only_where_it_pulls_to_the_inversion(self, options, rows):
        world = guided_world("epsilon", torch.float64)
        assert laws.rows_law(proximal, world, **options) == rows
        assert laws.rows_law(proximal, world, pull=0.5, pull_to="inversion") == STEPS
