"""pix2pix-zero as the authors' code runs it, in float64: two passes, one batch, one optimiser, one mean over heads."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from retouch.run.executor import run
from retouch.testing import laws
from retouch.testing.tiny import tiny_core
from retouch.testing.worlds import tiny_world
from retouch_methods.guide.pix2pix_zero import pix2pix_zero
from retouch_methods.invert.ddim import ddim
from retouch_methods.sample.sample import sample
from tests.parity.by_papers import ShowsMaps

STEPS, LR, SCALE = 4, 0.3, 5.0


def keeping(name: str, kept: dict[str, Tensor]) -> ShowsMaps:
    """Attention that keeps its maps of words, [rows * heads, pixels, tokens]."""

    def keep(maps: Tensor, of_words: bool) -> Tensor:
        if of_words:
            kept[name] = maps.flatten(0, 1)
        return maps

    return ShowsMaps(keep)


def naive(world, x_t: Tensor, negative, *, sampled: bool = True, states=None):
    """(the reconstruction, the edit): the first pass keeps the maps of both rows, the second moves both rows."""
    unet, kept = tiny_core(dtype=torch.float64).module, {}
    unet.set_attn_processor({name: keeping(name, kept) for name in unet.attn_processors})
    unet.requires_grad_(False)

    def rows(prompts):
        return torch.stack([each.embeds for each in prompts])

    def eps(x, prompts, step):
        return unet(x, torch.full((2,), float(step.noisy.timestep)), encoder_hidden_states=rows(prompts)).sample

    known, x = [], x_t
    for i, step in enumerate(world.schedule):
        at = x if sampled else states[i]
        uncond, cond = eps(torch.stack((at, at)), (negative, world.edit.source), step)
        known.append({name: maps.detach() for name, maps in kept.items()})
        x = step.carry(x, step.noisy.seen_as(x, uncond + SCALE * (cond - uncond)))
    rebuilt, x = x, x_t
    for i, step in enumerate(world.schedule):
        x_in = torch.stack((x, x)).detach().requires_grad_()
        eps(x_in, (negative, world.edit.target), step)
        loss = sum(((kept[name] - known[i][name]) ** 2).sum((1, 2)).mean(0) for name in kept)
        loss.backward()
        x_in = (x_in - LR * x_in.grad).detach()
        uncond, cond = eps(x_in, (negative, world.edit.target), step)
        x = step.carry(x_in[0], step.noisy.seen_as(x_in[0], uncond + SCALE * (cond - uncond)))
    return rebuilt, x


@pytest.fixture(scope="module")
def world():
    return tiny_world(steps=STEPS, dtype=torch.float64)


def edited(world, made, **options):
    (guide,) = run(world.call(pix2pix_zero, lr=LR, guidance=SCALE, **options))
    return run(replace(world, guidance=guide).call(sample, trajectory=made))[0].data


@pytest.mark.crossed
@pytest.mark.parametrize("away_from_source", [True, False])
@pytest.mark.parametrize("reference", ["sampled", "inverted"])
@pytest.mark.thorough
def test_moving_rows_is_the_authors_code(world, reference, away_from_source):
    (made,) = run(world.call(ddim))
    negative = world.edit.source if away_from_source else world.edit.negative
    told = {"moves": "rows", "reference": reference, "away_from_source": away_from_source}
    _, wanted = naive(world, made.states[0, 0], negative, sampled=reference == "sampled", states=made.states[:, 0])
    torch.testing.assert_close(edited(world, made, **told), wanted, rtol=0, atol=float(1e-10 * wanted.abs().max()))
    for other in ({"moves": "latents"}, {"reference": "sampled" if reference == "inverted" else "inverted"}):
        assert (edited(world, made, **{**told, **other}) - wanted).abs().max() > 1e-6


def test_at_the_first_step_the_row_that_is_led_away_from_stays_where_it_is(world):
    """Its maps are the source's still, so that only the other row's input moves, and by half."""
    (made,) = run(world.call(ddim))
    (guide,) = run(world.call(pix2pix_zero, lr=LR, guidance=SCALE, moves="rows"))
    level, edit, x = world.schedule.steps[0].noisy, world.edit, made.states[0, 0]
    (pred,) = run(guide(world.model, x, level, edit.target, edit.negative))
    (uncond,) = run(world.model(x, level, edit.source))
    (halved,) = run(world.call(pix2pix_zero, lr=LR / 2, guidance=1.0))
    (cond,) = run(halved(world.model, x, level, edit.target, edit.negative))
    torch.testing.assert_close(pred.eps, uncond.eps + SCALE * (cond.eps - uncond.eps), rtol=0, atol=1e-10)
    torch.testing.assert_close(level.mix(pred.x0, pred.eps), x, rtol=0, atol=1e-10)


@pytest.mark.parametrize("moves", ["latents", "rows"])
@pytest.mark.parametrize("reference", ["sampled", "inverted"])
@pytest.mark.parametrize("away_from_source", [True, False])
def test_what_it_prepares_costs_what_it_says(world, moves, reference, away_from_source):
    laws.rows_law(pix2pix_zero, world, moves=moves, reference=reference, away_from_source=away_from_source)


@pytest.mark.parametrize(("moves", "rows"), [("latents", 3), ("rows", 4)])
def test_a_guided_prediction_costs_what_it_says(world, moves, rows):
    (made,) = run(world.call(ddim))
    (guide,) = run(world.call(pix2pix_zero, moves=moves))
    laws.rows_law(
        sample, replace(world, guidance=guide), facts={"evaluations": 1, "guide": rows, "pinned": True}, trajectory=made
    )
