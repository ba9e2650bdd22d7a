"""`tune diffusionclip` against a plain transcription of the authors' loops, on a tiny random network in float64.

What differs on purpose: their L_id of the efficient variant is taken where it has no gradient, ours on the prediction.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch.func import functional_call
from torch.nn import functional as F

from retouch.api import Image, ImageText, NegativePrompt, TrainingPictures, VisionTokens
from retouch.run.executor import Executor, run
from retouch.run.task import Task
from retouch.testing import laws
from retouch.testing.tiny import Draws, TinyCodec, TinyEyes
from retouch.testing.worlds import tiny_world
from retouch_methods.tune.diffusionclip import Wants, batches, diffusionclip, inverted, ways
from retouch_methods.tune.learning import Learner
from retouch_methods.tune.tensors import movable

WORLD = tiny_world(steps=4, dtype=torch.float64)
MODEL, BASE = WORLD.model, WORLD.model.core.base
A_BAR = torch.tensor(WORLD.schedule.trained, dtype=torch.float64)
EMPTY = WORLD.edit.negative.of(NegativePrompt)
DRAWS = Draws(3, torch.float64)
SEEN = DRAWS.tensor(3 * 8 * 8, 5)
TEXTS = {"a cat": F.normalize(DRAWS.tensor(5), dim=0), "a dog": F.normalize(DRAWS.tensor(5), dim=0)}
TEXTS |= {"not a cat": TEXTS["a dog"], "not a dog": TEXTS["a cat"]}
NAMES = list(TEXTS)


class FreeCodec(TinyCodec):
    """Colours may leave [0, 1], so that no gradient ends at a bound."""

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """[B, C, h, w] -> [B, 3, H, W]"""
        return (latents[:, :3] + 1).div(2).repeat_interleave(self.scale, -2).repeat_interleave(self.scale, -1)


def looked_at(pictures: torch.Tensor) -> torch.Tensor:
    """[B, 3, 8, 8] -> [B, 5], of length 1"""
    return F.normalize(pictures.flatten(1) @ SEEN + pictures.flatten(1).square() @ SEEN, dim=1)


EYE = ImageText(
    8, looked_at, lambda text: torch.tensor(NAMES.index(text)), lambda ids: torch.stack([*TEXTS.values()])[ids]
)
PICTURES = [Image(torch.rand(3, 32, 32, generator=DRAWS.generator, dtype=torch.float64)) for _ in range(2)]


@dataclass
class Heard:
    """A log."""

    losses: list[float] = field(default_factory=list)

    def due(self, done: int, of: int) -> bool:
        """Nobody asks."""
        return False

    def learnt(self, done: int, of: int, loss: float) -> None:
        """Keep the loss."""
        self.losses.append(loss)


def tuned(pictures=PICTURES, **options: Any) -> tuple[Any, Heard, int]:
    """The model, what the log heard, and the rows that it cost."""
    heard = Heard()
    made = WORLD.call(
        diffusionclip,
        training=TrainingPictures(tuple(pictures)),
        codec=FreeCodec(),
        negative=EMPTY,
        log=heard,
        eyes=(EYE,),
        **{
            "source": "a cat",
            "target": "a dog",
            "strength": 0.5,
            "inversion_steps": 6,
            "tuning_steps": 3,
            "rounds": 1,
            "lr": 1e-3,
            "l1": 0.5,
            **options,
        },
    )
    executor, task = Executor(), Task(lambda: made)
    executor.run([task])
    if task.error:
        raise task.error
    rows = sum(info.rows for info in executor.calls if info.kind in ("denoise", "gradient"))
    return task.result, heard, rows


# ---------------------------------------------------------------- the transcription


def grids(t0: int, count: int) -> tuple[list[int], list[int]]:
    """seq and seq_next of the authors."""
    seq = [int(t) for t in np.linspace(0, 1, count) * t0]
    return seq, [-1, *seq[:-1]]


def eps_of(weights: dict[str, torch.Tensor], x: torch.Tensor, t: int) -> torch.Tensor:
    """x: [1, C, h, w]"""
    embeds = {"encoder_hidden_states": EMPTY.embeds[None]}
    return functional_call(MODEL.core.module, weights, (x, torch.tensor([float(t)])), embeds).sample


def moved(weights: dict[str, torch.Tensor], x: torch.Tensor, t: int, to: int) -> tuple[torch.Tensor, torch.Tensor]:
    """One deterministic step, and x0; the noise is that of (x, t)."""
    noise = eps_of(weights, x, t)
    here, there = A_BAR[t], A_BAR[to] if to >= 0 else torch.ones((), dtype=torch.float64)
    x0 = (x - noise * (1 - here).sqrt()) / here.sqrt()
    return there.sqrt() * x0 + (1 - there).sqrt() * noise, x0


def by_hand(variant: str, t0: int, rounds: int, growth: float) -> dict[str, torch.Tensor]:
    """The authors' clip_finetune and clip_finetune_eff, with clip_loss_w=3 and l1_loss_w=0.5."""
    codec, base = FreeCodec(), {name: weight.clone() for name, weight in BASE.items()}
    lats = []
    seq, _ = grids(t0, 6)
    with torch.no_grad():
        for picture in PICTURES:
            x = codec.encode(picture.data[None])
            for i, j in pairwise(seq):
                x = moved(base, x, i, j)[0]
            lats.append(x)
    weights = {name: weight.clone().requires_grad_() for name, weight in base.items()}
    adam = torch.optim.Adam(weights.values(), lr=1e-3)
    grow = torch.optim.lr_scheduler.StepLR(adam, 1, growth)
    text = F.normalize(TEXTS["a dog"] - TEXTS["a cat"], dim=0)
    seq, seq_next = grids(t0, 3)

    def step_of(x0: torch.Tensor, picture: Image) -> None:
        before, now = codec.decode(codec.encode(picture.data[None])), codec.decode(x0)
        small = [F.interpolate(each, size=(8, 8), mode="bilinear", antialias=True) for each in (before, now)]
        change = looked_at(small[1]) - looked_at(small[0])
        cosine = (change / (change.norm(dim=1, keepdim=True) + 1e-7) @ text).mean()
        loss = 3 * -torch.log((2 - (1 - cosine)) / 2) + 0.5 * (2 * now - 2 * before).abs().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()

    for _ in range(rounds):
        for lat, picture in zip(lats, PICTURES, strict=True):
            x = lat.clone()
            for t, to in zip(reversed(seq), reversed(seq_next), strict=True):
                x, x0 = moved(weights, x, t, to)
                if variant == "efficient":
                    step_of(x0, picture)
                    x = x.detach()
            if variant == "whole":
                step_of(x, picture)
        grow.step()
    return {name: weight.detach() for name, weight in weights.items()}


# ---------------------------------------------------------------- the tests


@pytest.mark.parametrize(("strength", "count"), [(0.5, 10), (0.4, 6), (0.401, 40), (0.601, 7), (0.123, 3), (1.0, 50)])
def test_timesteps_are_the_authors_with_both_ends(strength, count):
    t0 = min(int(strength * 1000 + 1e-9), 999)
    seq, _ = grids(t0, count)
    up, down = ways(WORLD.schedule, strength, count, count)
    assert [level.timestep for level in up.levels] == seq[::-1]
    assert [step.noisy.timestep for step in down] == seq[::-1]
    assert (down.steps[-1].clean.alpha, down.steps[-1].clean.sigma) == (1, 0)


def test_the_way_up_asks_at_the_level_that_it_leaves():
    up, _ = ways(WORLD.schedule, 0.5, 6, 3)
    x = expected = DRAWS.tensor(4, 8, 8)
    seq, _ = grids(500, 6)
    for i, j in pairwise(seq):
        expected = moved(dict(BASE), expected[None], i, j)[0][0]
    torch.testing.assert_close(run(inverted(MODEL, x, up, EMPTY))[0], expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("variant", ["whole", "efficient"])
def test_weights_are_those_of_the_authors_loop(variant):
    model, heard, _ = tuned(variant=variant, rounds=2, growth=1.3)
    expected = by_hand(variant, 500, 2, 1.3)
    far = [(model.weights[name] - BASE[name]).abs().max() for name in BASE]
    assert max(far) > 1e-3
    for name, weight in expected.items():
        # Adam divides by the size of a gradient, so what is zero but for rounding may step either way.
        apart = (model.weights[name] - weight).abs()
        assert apart.median() < 1e-8, name
        assert (apart < 1e-5).double().mean() > 0.98, name
    assert len(heard.losses) == 4


@pytest.mark.parametrize(("variant", "rows"), [("whole", 2 * (5 + 2 * 5)), ("efficient", 2 * (5 + 2 * 3))])
@pytest.mark.parametrize("batch", [1, 2])
def test_rows_are_those_that_the_card_says(variant, rows, batch):
    assert tuned(variant=variant, rounds=2, batch=batch)[2] == rows


def test_base_weights_keep_their_bits_and_no_round_changes_nothing():
    before = {name: weight.clone() for name, weight in BASE.items()}
    model, _, _ = tuned(rounds=0)
    assert all(torch.equal(model.weights[name], BASE[name]) for name in BASE)
    tuned(rounds=1)
    assert all(torch.equal(before[name], BASE[name]) for name in BASE)


@pytest.mark.parametrize("weights", ["attention", "low_rank"])
def test_parts_of_the_weights_learn_and_the_rest_stays(weights):
    model, heard, _ = tuned(weights=weights, rounds=3, rank=2)
    if weights == "attention":
        assert model.delta.weights
        assert all("attn" in name or "attentions" in name for name in model.delta.weights)
        assert len(model.delta.weights) < len(BASE)
    else:
        assert not model.delta.weights
        assert all(min(up.shape[1], down.shape[0]) <= 2 for up, down in model.delta.low_rank.values())
    assert np.mean(heard.losses[-2:]) < np.mean(heard.losses[:2])


@pytest.mark.thorough
def test_a_batch_is_one_step_down_the_mean_of_its_gradients():
    model, heard, _ = tuned(pictures=[PICTURES[0], PICTURES[0]], batch=2, variant="whole")
    alone, _, _ = tuned(pictures=[PICTURES[0]], variant="whole")
    assert len(heard.losses) == 1
    apart = torch.cat([(model.weights[name] - alone.weights[name]).abs().flatten() for name in BASE])
    assert apart.median() < 1e-8


@pytest.mark.thorough
def test_what_a_batch_misses_is_what_its_pictures_miss_on_average():
    heard = [tuned(pictures=each, batch=2, variant="whole")[1] for each in (PICTURES[:1], PICTURES[1:], PICTURES)]
    one, other, both = (each.losses[0] for each in heard)
    assert both == pytest.approx((one + other) / 2)
    assert one != pytest.approx(other)


def test_pictures_learn_together_with_neighbours_of_their_shape():
    wide, tall = torch.zeros(4, 8, 9), torch.zeros(4, 9, 8)
    assert batches([wide, wide, wide, tall, wide], 2) == [[0, 1], [2], [3], [4]]


@pytest.mark.thorough
def test_the_direction_is_that_of_the_sentences():
    """Sentences that say the opposite teach the opposite."""
    turned, _, _ = tuned(templates=("not _",))
    reverse, _, _ = tuned(source="a dog", target="a cat")
    assert all(torch.equal(turned.weights[name], reverse.weights[name]) for name in BASE)


def test_the_loss_is_of_all_eyes_and_faces_and_of_colours_beyond_black_and_white():
    """Kim et al. 2022, eq. 7 to 9, with clip_loss_w, l1_loss_w and id_loss_w."""
    codec, eyes = TinyCodec(), TinyEyes(torch.float64)
    seeing, faces = (eyes.image_text(), EYE), (eyes.vision_tokens(), eyes.vision_tokens())
    texts = [F.normalize(DRAWS.tensor(size), dim=0) for size in (32, 5)]
    clean, predicted = DRAWS.tensor(4, 8, 8) / 2, DRAWS.tensor(4, 8, 8) * 2
    before, now = codec.decode(clean[None])[0], codec.decode_freely(predicted[None])[0]
    assert now.min() < 0
    assert now.max() > 1

    def told(eye: ImageText | VisionTokens, picture: torch.Tensor) -> torch.Tensor:
        seen = run(eye.picture(picture))[0]
        return seen[0] if isinstance(eye, VisionTokens) else seen

    wanted = 0.7 * (2 * now - 2 * before).abs().mean()
    for eye, text in zip(seeing, texts, strict=True):
        cosine = F.cosine_similarity(told(eye, now) - told(eye, before), text, dim=0)
        wanted = wanted + 3 * -torch.log((2 - (1 - cosine)) / 2) / 2
    for eye in faces:
        wanted = wanted + 0.4 * (1 - F.cosine_similarity(told(eye, now), told(eye, before), dim=0)) / 2
    (miss,) = run(Wants(codec, seeing, texts, faces).loss(clean, 3.0, 0.7, 0.4))
    assert float(run(miss(predicted))[0]) == pytest.approx(float(wanted), rel=1e-5)


def test_the_walk_of_a_flow_ends_at_the_picture_and_takes_as_many_steps():
    flow = tiny_world("flow", steps=4).schedule
    up, down = ways(flow, 0.5, 6, 3)
    assert (len(up), len(down)) == (5, 3)
    assert up.levels[-1].sigma == down.levels[-1].sigma == 0
    assert up.levels[0].sigma == pytest.approx(0.5)


@pytest.mark.thorough
def test_it_keeps_the_laws_of_tunings():
    given = {"codec": FreeCodec(), "eyes": (EYE,), "source": "a cat", "target": "a dog", "lr": 1e-3}
    world = tiny_world(steps=4, dtype=torch.float64)
    for variant in ("whole", "efficient"):
        kept = laws.stage_laws(
            diffusionclip, world, variant=variant, inversion_steps=3, tuning_steps=2, rounds=1, **given
        )
        assert "tune_law" in kept


def test_the_rate_grows_after_each_round_by_the_same_factor():
    learner = Learner(movable(MODEL, "attention", 1, WORLD.noise), EMPTY, 2.0)
    for _ in range(2):
        learner.grow(1.5)
    assert {adam.lr for adam in learner.adams} == {4.5}
