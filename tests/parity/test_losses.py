"""The losses that lead against plain transcriptions of their papers, on random numbers."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from retouch.api import (
    Ddim,
    Loss,
    Predicted,
    direction_apart,
    leading,
    predictor,
    text_apart,
    text_direction,
    unguided,
    with_loss,
)
from retouch.core.eyes import ImageText, at_side
from retouch.run.executor import run
from retouch.testing.tiny import Draws, TinyCodec
from retouch.testing.worlds import tiny_world
from retouch_methods.guide.identity import colours_apart
from retouch_methods.guide.image_text import image_text
from retouch_methods.guide.range import outside
from retouch_methods.guide.structure import places_confused, relations_apart


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return Draws(seed, torch.float64).tensor(*shape)


def unit(vectors: Tensor) -> Tensor:
    return vectors / vectors.norm(dim=-1, keepdim=True)


class TestDirection:
    """StyleGAN-NADA, eq. 2: 1 - cos(E(now) - E(source), E(target text) - E(source text))."""

    def test_it_is_one_less_the_cosine_of_both_changes(self):
        now, source, wanted = unit(drawn(5, 7, seed=1)), unit(drawn(5, 7, seed=2)), unit(drawn(7, seed=3))
        for found, one, other in zip(direction_apart(now, source, wanted), now, source, strict=True):
            change = [float(a - b) for a, b in zip(one, other, strict=True)]
            dot = sum(a * float(b) for a, b in zip(change, wanted, strict=True))
            assert float(found) == pytest.approx(1 - dot / math.hypot(*change), abs=1e-6)

    def test_texts_are_averaged_over_sentences_before_their_direction_is_of_length_one(self):
        read = {text: unit(drawn(7, seed=len(text))) for text in ("a cat", "a puppy", "see a cat!", "see a puppy!")}
        order = list(read)
        eye = ImageText(
            8,
            lambda batch: batch,
            lambda text: torch.tensor(order.index(text)),
            lambda ids: torch.stack([*read.values()])[ids],
        )
        (found,) = run(text_direction(eye, "a cat", "a puppy", ("_", "see _!")))
        mean = (read["a puppy"] - read["a cat"] + read["see a puppy!"] - read["see a cat!"]) / 2
        torch.testing.assert_close(found, mean / mean.norm())

    def test_a_text_that_stays_is_no_direction_and_a_picture_that_stays_no_nan(self):
        same = unit(drawn(1, 7)).requires_grad_()
        direction_apart(same, same.detach(), torch.zeros(7).double()).sum().backward()
        assert same.grad is not None
        assert same.grad.isfinite().all()


class TestBlendedDiffusion:
    """The authors' losses; their pictures run from -1 to 1."""

    def test_a_picture_is_as_far_from_a_text_as_half_their_distance_on_the_sphere_says(self):
        pictures, text = unit(drawn(4, 7, seed=1)), unit(drawn(7, seed=2))
        for found, picture in zip(text_apart(pictures, text), pictures, strict=True):
            chord = math.dist(picture.tolist(), text.tolist())
            assert float(found) == pytest.approx(2 * math.asin(chord / 2) ** 2)

    def test_a_range_is_left_by_the_square_of_what_lies_outside(self):
        picture = drawn(3, 4, 5) * 2  # as networks have it
        wanted = sum(max(abs(float(each)) - 1, 0.0) ** 2 for each in picture.flatten()) / picture.numel()
        assert float(outside(picture / 2 + 0.5)) == pytest.approx(wanted)


class TestDiffuseIT:
    """Keys are a first row for the picture as a whole, then one for each place."""

    def test_places_stand_to_each_other_by_the_mean_square_of_their_cosines(self):
        keys, source = drawn(5, 7, seed=1), drawn(5, 7, seed=2)
        wanted = torch.stack(
            [
                (torch.cosine_similarity(keys[i], keys[j], 0) - torch.cosine_similarity(source[i], source[j], 0)) ** 2
                for i in range(5)
                for j in range(5)
            ]
        ).mean()
        torch.testing.assert_close(relations_apart(keys, source), wanted)

    def test_patch_contrast_is_cross_entropy_with_the_other_places_as_what_it_is_not(self):
        keys, source = unit(drawn(5, 7, seed=1)), unit(drawn(5, 7, seed=2))
        rows = []
        for i in range(5):  # the place itself first, then all places, its own among them at a cosine of -10
            others = [float(keys[i] @ source[j]) if j != i else -10.0 for j in range(5)]
            logits = torch.tensor([float(keys[i] @ source[i]), *others]).double() / 0.07
            rows.append(logits.logsumexp(0) - logits[0])
        torch.testing.assert_close(places_confused(keys * 3, source * 2, 0.07), torch.stack(rows).mean())


def test_diffusionclip_counts_differences_of_colours_from_minus_one_to_one():
    now, source = drawn(3, 4, 5, seed=1), drawn(3, 4, 5, seed=2)
    wanted = sum(abs(float(a - b)) for a, b in zip(now.flatten(), source.flatten(), strict=True)) / now.numel()
    assert float(colours_apart(now / 2 + 0.5, source / 2 + 0.5)) == pytest.approx(wanted)


def test_guidance_is_classifier_guidance_of_a_ddpm_step():
    """Dhariwal and Nichol 2021, alg. 1: the mean of q(clean | noisy, x0) less its variance times the gradient.

    The posterior is transcribed as Ho et al. 2020 have it, eq. 6 and 7.
    """
    world = tiny_world(steps=5, dtype=torch.float64)
    step, x, target = world.schedule.steps[2], world.latents.data, world.edit.target

    async def bright(seen: Predicted) -> Tensor:
        return (seen.x0**2).mean()

    guidance = leading(with_loss(unguided, Loss(bright, 30.0, "x0"), TinyCodec()), target)
    (plain,) = run(world.model(x, step.noisy, target))
    (state,) = run(Ddim(1.0)(x[None], step, predictor(guidance, world.model, target, world.edit.negative)))

    noisy_bar, clean_bar = step.noisy.alpha**2, step.clean.alpha**2
    alpha = noisy_bar / clean_bar
    beta, x0 = 1 - alpha, (x - (1 - noisy_bar) ** 0.5 * plain.eps) / noisy_bar**0.5
    mean = (clean_bar**0.5 * beta * x0 + alpha**0.5 * (1 - clean_bar) * x) / (1 - noisy_bar)
    variance = (1 - clean_bar) / (1 - noisy_bar) * beta
    gradient = 30 * 2 * x0 / x0.numel() / noisy_bar**0.5  # by x, with the noise that is predicted held fixed
    torch.testing.assert_close(state[0], mean - variance * gradient)


def test_through_the_network_the_gradient_is_autograds():
    world = tiny_world(steps=5, dtype=torch.float64)
    level, x, target = world.schedule.steps[2].noisy, world.latents.data, world.edit.target

    async def bright(seen: Predicted) -> Tensor:
        return (seen.x0**2).mean()

    found = {}
    for through in ("network", "x0"):
        made = leading(with_loss(unguided, Loss(bright, 30.0, through), TinyCodec()), target)
        (pred,) = run(made(world.model, x, level, target, world.edit.negative))
        found[through] = pred.eps
    unet = world.model.core.module
    leaf = x.clone().requires_grad_()
    noise = unet(leaf[None], level.timestep, encoder_hidden_states=target.embeds[None]).sample[0]
    loss = 30 * (((leaf - level.sigma * noise) / level.alpha) ** 2).mean()
    (grad,) = torch.autograd.grad(loss, leaf)
    clean = level.clean
    assert clean
    variance = clean.variance_from(level)
    share = variance / (clean.alpha * level.sigma / level.alpha - (clean.sigma**2 - variance) ** 0.5)
    torch.testing.assert_close(found["network"], noise.detach() + share * grad)
    assert (found["x0"] - found["network"]).abs().max() > 1e-6


def test_diffuseit_looks_for_the_new_words_less_the_old_ones_and_a_little_of_the_picture():
    """The authors' target: normalise(E(target) - 0.4 E(source) + 0.2 E(picture)), compared by its cosine."""
    world, seen = tiny_world(steps=4, dtype=torch.float64), []
    places = {
        world.edit.source.text: unit(drawn(5, seed=1)),
        world.edit.target.text: unit(drawn(5, seed=2)),
    }
    texts, look = list(places), drawn(5, 3, seed=3)

    def picture(batch: Tensor) -> Tensor:
        return unit(batch.mean((2, 3)) @ look.T)

    eye = ImageText(
        8, picture, lambda text: torch.tensor(texts.index(text)), lambda ids: torch.stack([*places.values()])[ids]
    )
    options = {"sees": "picture", "looks": 1, "distance": "cosine", "less_source": 0.4, "more_picture": 0.2}
    (made,) = run(world.call(image_text, eyes=(eye,), mask=None, weight=2000.0, **options))
    (loss,) = made.losses
    assert world.source
    old, new = places.values()
    wanted = unit(new - 0.4 * old + 0.2 * picture(at_side(world.source.data, 8)[None])[0])

    async def shown() -> Tensor:
        level = world.schedule.at(0.5)
        at = Predicted(world.latents.data, world.latents.data * 0.5, level, made.codec, {})
        seen.append(await at.picture("mixed"))
        return await loss.of(at)

    (found,) = run(shown())
    cosine = picture(at_side(seen[0], 8)[None])[0] @ wanted
    torch.testing.assert_close(found, 1 - cosine)
    assert loss.weight == 2000
