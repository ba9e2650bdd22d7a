"""Imagic, UniTune and SINE against plain transcriptions, on a tiny random network in float64.

Levels and noise are those that the stages draw; all else is torch's own Adam over the network's own forward pass.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.func import functional_call
from torch.nn import functional as F

from retouch.api import (
    Denoiser,
    Image,
    KnownLevels,
    LearntWords,
    ModelDelta,
    Patch,
    Prediction,
    SourcePrompt,
    TargetPrompt,
    TrainingPictures,
)
from retouch.run.executor import Executor, run
from retouch.run.task import Task
from retouch.testing import laws
from retouch.testing.tiny import TinyCodec, TinyTexts
from retouch.testing.worlds import tiny_world
from retouch_methods.guide.cfg import cfg
from retouch_methods.guide.direction import direction
from retouch_methods.guide.mix import mix
from retouch_methods.guide.sine import sine as guide_sine
from retouch_methods.tune.denoising import LossScale, Practice
from retouch_methods.tune.imagic import imagic
from retouch_methods.tune.prompting import between, prompts
from retouch_methods.tune.sine import Cutter, sine
from retouch_methods.tune.unitune import unitune

WORLD = tiny_world(steps=4, dtype=torch.float64)
MODEL, BASE = WORLD.model, WORLD.model.core.base
A_BAR = torch.tensor(WORLD.schedule.trained, dtype=torch.float64)
CODEC = TinyCodec()
TARGET, SOURCE = WORLD.edit.target.of(TargetPrompt), WORLD.edit.source.of(SourcePrompt)
PRACTICE = Practice.of(WORLD.schedule, WORLD.noise)


def done(stage: Any, **given: Any) -> tuple[Denoiser, int]:
    """What a stage made, and the rows that it cost."""
    executor, task = Executor(), Task(lambda: WORLD.call(stage, **given))
    executor.run([task])
    if task.error:
        raise task.error
    return task.result, sum(info.rows for info in executor.calls if info.kind in ("denoise", "gradient"))


def loss_of(weights: Any, embeds: torch.Tensor, x0: torch.Tensor, step: int, copy: int = 0, hook: Any = None) -> Any:
    """Mean squared error of the noise in one draw, as the pipeline of diffusers has it."""
    level, eps = PRACTICE.at(step, x0, copy)
    t = int(level.timestep)
    noisy = A_BAR[t].sqrt() * x0 + (1 - A_BAR[t]).sqrt() * eps
    handle = MODEL.core.module.conv_in.register_forward_hook(hook) if hook else None
    told = {"encoder_hidden_states": embeds[None]}
    out = functional_call(MODEL.core.module, weights, (noisy[None], torch.tensor([float(t)])), told).sample
    if handle:
        handle.remove()
    return F.mse_loss(out, eps[None])


def trained(names: list[str], embeds: torch.Tensor, seen: list[list[Any]], lr: float) -> dict[str, torch.Tensor]:
    """Steps of torch's Adam on these weights; `seen` has for each step what its draws are given."""
    weights = {name: BASE[name].clone().requires_grad_(name in names) for name in BASE}
    adam = torch.optim.Adam([weights[name] for name in names], lr=lr)
    for draws in seen:
        adam.zero_grad()
        torch.stack([loss_of(weights, embeds, *draw) for draw in draws]).mean().backward()
        adam.step()
    return {name: weight.detach() for name, weight in weights.items()}


def alike(model: Denoiser, expected: dict[str, torch.Tensor]) -> None:
    """Weights are those, but where a gradient is zero for all but rounding, whose sign Adam makes a whole step of."""
    assert max((model.weights[name] - BASE[name]).abs().max() for name in BASE) > 1e-4
    for name, weight in expected.items():
        apart = (model.weights[name] - weight).abs()
        assert apart.median() < 1e-8, name
        assert (apart < 1e-6).double().mean() > 0.95, name


# ---------------------------------------------------------------- Imagic


def test_imagic_is_the_embedding_first_and_then_the_weights():
    model, rows = done(imagic, embedding_steps=3, training_steps=2, embedding_lr=1e-2, lr=1e-3)
    assert rows == 5
    x0, e = WORLD.latents.data, TARGET.embeds.clone().requires_grad_()
    adam = torch.optim.Adam([e], lr=1e-2)
    for step in range(3):
        adam.zero_grad()
        loss_of(dict(BASE), e, x0, step).backward()
        adam.step()
    assert model.delta.words
    assert model.delta.words.embeds is not None
    torch.testing.assert_close(model.delta.words.embeds, e.detach(), rtol=0, atol=1e-8)
    alike(model, trained(list(BASE), e.detach(), [[(x0, 3)], [(x0, 4)]], 1e-3))


@pytest.mark.parametrize("alpha", [0.0, 0.7, 1.2])
def test_imagic_edits_at_alpha_of_the_way(alpha):
    learnt = TARGET.embeds + 1
    model = MODEL.tuned(ModelDelta(words=LearntWords(learnt)))
    edit, _ = done(prompts, model=model, alpha=alpha)
    torch.testing.assert_close(edit.target.embeds, alpha * TARGET.embeds + (1 - alpha) * learnt, check_dtype=False)
    torch.testing.assert_close(edit.source.embeds, learnt, check_dtype=False)
    assert edit.negative is WORLD.edit.negative


@pytest.mark.parametrize(
    "words", [LearntWords(TARGET.embeds + 1), LearntWords(token="beikkpic")], ids=["imagic", "unitune"]
)
def test_eyes_read_the_prompts_of_the_recipe_and_not_what_was_learnt(words: LearntWords) -> None:
    """Both were near the target's text, so that from one to the other there was no direction."""
    edit, _ = done(prompts, model=MODEL.tuned(ModelDelta(words=words)), alpha=0.5)
    assert edit.texts == (SOURCE.text, TARGET.text)
    assert SOURCE.text != TARGET.text
    (led,) = run(WORLD.call(direction, edit=edit, guidance=cfg(guidance=2.0)))
    assert led.losses


def test_what_was_learnt_meets_prompts_of_other_lengths():
    long, short = torch.randn(7, 4), torch.randn(5, 4)
    for learnt, wanted in ((long, short), (short, long)):
        middle, own = between(learnt, wanted, 0.5)
        assert middle.shape == own.shape == (7, 4)
        torch.testing.assert_close(middle[:5], (learnt[:5] + wanted[:5]) / 2)


# ---------------------------------------------------------------- UniTune


def test_unitune_moves_cross_attention_alone_under_its_token():
    pictures = TrainingPictures((WORLD.image, Image(1 - WORLD.image.data)))
    model, rows = done(unitune, training=pictures, training_steps=2, batch=2, lr=1e-3)
    assert rows == 4
    assert model.delta.words
    assert (model.delta.words.embeds, model.delta.words.token) == (None, "beikkpic")
    assert all("attn2" in name for name in model.delta.weights)
    (said,) = run(TinyTexts(torch.float64).prompt("beikkpic"))
    clean = [CODEC.encode(each.data[None])[0] for each in pictures.pictures]
    seen = [[(clean[copy], step, copy) for copy in range(2)] for step in range(2)]  # they take turns from draw to draw
    alike(model, trained(list(model.delta.weights), said.embeds, seen, 1e-3))


def test_its_token_stands_before_both_prompts():
    model = MODEL.tuned(ModelDelta(words=LearntWords(None, "beikkpic")))
    edit, _ = done(prompts, model=model)
    assert (edit.source.text, edit.target.text) == ("beikkpic a white cat", "beikkpic a white dog")


# ---------------------------------------------------------------- SINE


def authors_grid(channels: int) -> torch.Tensor:
    """Their sinusoidal embedding of a grid of 128 x 128; a shift of its centre that they state has no effect."""
    half = channels // 2 // 2
    rates = np.exp(np.arange(half) * -(np.log(10000) / (half - 1)))
    table = np.arange(Patch.CELLS + 1)[:, None] * rates[None]
    table = torch.tensor(np.concatenate([np.sin(table), np.cos(table)], 1))  # [129, C / 2]
    axis = table[1:].T  # [C / 2, 128]; nothing has the number 0
    across, down = axis[:, None, :].expand(-1, Patch.CELLS, -1), axis[:, :, None].expand(-1, -1, Patch.CELLS)
    return torch.cat([across, down])


@pytest.mark.parametrize("place", [Patch(), Patch(3, 40, 70, 128)])
def test_waves_are_the_authors(place):
    grid = authors_grid(32)[None, :, place.top : place.bottom, place.left : place.right]
    expected = F.interpolate(grid, (8, 6), mode="bilinear", align_corners=True)[0]
    made = place.waves(torch.zeros(2, 32, 8, 6, dtype=torch.float64))
    torch.testing.assert_close(made, expected, rtol=0, atol=2e-5)


def test_sine_learns_a_picture_under_its_caption():
    training = TrainingPictures((WORLD.image,))
    model, rows = done(sine, training=training, training_steps=2, lr=1e-3)
    assert rows == 2
    assert model.delta.words is None
    x0 = CODEC.encode(WORLD.image.data[None])[0]
    alike(model, trained(list(BASE), SOURCE.embeds, [[(x0, 0)], [(x0, 1)]], 1e-3))


def test_sine_learns_patches_by_where_they_lie():
    training = TrainingPictures((WORLD.image,))
    model, rows = done(sine, training=training, training_steps=2, lr=1e-3, patches=True)
    assert rows == 2
    assert model.delta.place == Patch()
    cutter, grid, seen = Cutter(CODEC, WORLD.noise, 0.1, 1.0), authors_grid(32), []
    for step in range(2):
        place = cutter.place(step, 0)
        (x0,) = run(cutter.latents(WORLD.image.data, place))
        assert x0.shape == (4, 8, 8)
        box = grid[None, :, place.top : place.bottom, place.left : place.right]
        waves = F.interpolate(box, (8, 8), mode="bilinear", align_corners=True)
        seen.append([(x0, step, 0, lambda layer, given, out, waves=waves: out + waves)])
    alike(model, trained(list(BASE), SOURCE.embeds, seen, 1e-3))


def test_patches_lie_in_the_picture_and_are_of_every_size():
    cutter = Cutter(CODEC, WORLD.noise, 0.1, 1.0)
    places = [cutter.place(step, 0) for step in range(500)]
    assert all(
        0 <= each.top < each.bottom <= Patch.CELLS and 0 <= each.left < each.right <= Patch.CELLS for each in places
    )
    sides = [each.bottom - each.top for each in places]
    assert min(sides) < 20
    assert max(sides) > 120


def test_a_network_that_is_told_places_makes_pictures_of_any_size():
    model = MODEL.tuned(ModelDelta(place=Patch()))
    level = WORLD.schedule.steps[0].noisy
    for size in ((8, 8), (4, 12)):
        x = torch.randn(4, *size, dtype=torch.float64)
        told, plain = run(model(x, level, SOURCE), MODEL(x, level, SOURCE))
        assert told.eps.shape == x.shape
        assert not torch.allclose(told.eps, plain.eps)


# ---------------------------------------------------------------- laws


ALWAYS = ((imagic, "all"), (unitune, "cross"), (sine, "low_rank"))


@pytest.mark.parametrize(
    ("stage", "weights"),
    [
        pytest.param(stage, weights, marks=() if (stage, weights) in ALWAYS else pytest.mark.bench)
        for stage in (imagic, unitune, sine)
        for weights in ("all", "cross", "low_rank")
    ],
)
def test_tunings_keep_their_laws(stage, weights):
    before = {name: weight.clone() for name, weight in BASE.items()}
    steps = {"embedding_steps": 1, "training_steps": 2} if stage is imagic else {"training_steps": 2}
    assert "tune_law" in laws.stage_laws(stage, WORLD, weights=weights, rank=2, lr=1e-2, **steps)
    assert all(torch.equal(before[name], BASE[name]) for name in BASE)


def test_guidances_keep_their_laws():
    tuned = MODEL.tuned(ModelDelta({"conv_out.weight": BASE["conv_out.weight"] * 1.5}))

    class Files:
        def tuning(self, path: str) -> ModelDelta:
            return tuned.delta

    for stage, more in ((guide_sine, {"model": tuned}), (mix, {"files": Files(), "path": "made"})):
        assert laws.guided_rows_law(stage, WORLD, until=1.0, **more) == 2


@pytest.mark.parametrize("kind", ["v_prediction", "flow"])
def test_each_kind_of_network_learns_what_it_puts_out(kind):
    world = tiny_world(kind, steps=4, dtype=torch.float64)
    practice, x0 = Practice.of(world.schedule, world.noise), world.latents.data
    level, eps = practice.at(3, x0)
    truth = Prediction(torch.stack((x0, eps)))
    wanted = eps - x0 if kind == "flow" else level.alpha * eps - level.sigma * x0
    torch.testing.assert_close(level.output(kind, truth), wanted)
    assert world.model.predicts == kind
    (model,) = run(world.call(imagic, embedding_steps=1, training_steps=1, lr=1e-3))
    assert model.delta.weights


def test_levels_are_drawn_evenly_and_by_number():
    levels = [PRACTICE.at(step, WORLD.latents.data)[0].timestep for step in range(400)]
    assert 450 < np.mean(levels) < 550
    assert min(levels) < 20
    assert max(levels) > 980
    assert KnownLevels(WORLD.schedule).top.timestep == 999
    assert torch.equal(PRACTICE.at(7, WORLD.latents.data)[1], PRACTICE.at(7, WORLD.latents.data)[1])


@pytest.mark.parametrize(
    ("stage", "dtype"),
    [
        (imagic, torch.float16),
        (sine, torch.bfloat16),
        pytest.param(imagic, torch.bfloat16, marks=pytest.mark.bench),
        pytest.param(sine, torch.float16, marks=pytest.mark.bench),
    ],
)
def test_half_precision_learns_in_float32_and_gives_back_the_networks_precision(stage, dtype):
    steps = {"embedding_steps": 2, "embedding_lr": 1e-3} if stage is imagic else {}
    losses: list[list[float]] = []

    class Heard:
        def due(self, done: int, of: int) -> bool:
            return False

        def learnt(self, done: int, of: int, loss: float) -> None:
            losses[-1].append(loss)

    for each in (dtype, torch.float32):
        losses.append([])
        world = tiny_world(steps=4, dtype=each)
        (model,) = run(world.call(stage, log=Heard(), training_steps=4, lr=1e-3, **steps))
        assert all(weight.dtype == each for weight in model.delta.weights.values())
        assert all(weight.isfinite().all() for weight in model.delta.weights.values())
        if model.delta.words:
            assert model.delta.words.embeds.dtype == torch.float32
    half, whole = map(torch.tensor, losses)
    torch.testing.assert_close(half, whole, rtol=0.05, atol=0)


def test_a_loss_is_scaled_until_float16_can_hold_its_gradients():
    async def miss(x: torch.Tensor) -> torch.Tensor:
        return (x.half() * 4).sum().float()

    scale = LossScale(2.0**40)
    (found,) = run(scale.value_and_grad(miss, torch.full((2,), 2.0)))
    assert scale.value < 2.0**14
    assert found.grads[0].tolist() == [4, 4]


@pytest.mark.parametrize("factor", [1.0, 2.0**8])
def test_a_scaled_loss_has_the_gradients_of_the_loss(factor):
    async def miss(x: torch.Tensor) -> torch.Tensor:
        return x.square().sum()

    (found,) = run(LossScale(factor).value_and_grad(miss, torch.tensor([1.0, -3.0])))
    assert found.loss == 10
    assert found.grads[0].tolist() == [2, -6]
