"""The networks, the penalty of their training, and that it can be resumed."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from retouch_gan.networks import LABELS, NOISE, STYLE, STYLES, VALUES, Generator, StyledConv
from retouch_gan.train.adversary import SHIFT, AdversarialTraining, Real, moved
from retouch_gan.train.discriminator import Discriminator
from retouch_gan.train.gan import labels_of
from retouch_storybook.judge import ATTRIBUTES
from retouch_storybook.train.loop import TrainingSettings
from retouch_storybook.world import Scene


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_a_styled_convolution_is_one_with_weights_of_its_own_for_each_picture():
    """StyleGAN2, eq. 1-3: modulate, demodulate, convolve; here by scaling what goes in and out."""
    torch.manual_seed(0)
    conv, x, w = StyledConv(6, 5, 3), drawn(2, 6, 8, 8), drawn(2, STYLE, seed=1)
    styles = conv.style(w)
    for picture, style, made in zip(x, styles, conv(x, w), strict=True):
        weight = conv.weight * conv.scale * style[None, :, None, None]
        weight = weight / (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        assert torch.allclose(made, F.conv2d(picture[None], weight, padding=1)[0], atol=1e-5)


def test_one_style_for_all_is_what_noise_has():
    torch.manual_seed(0)
    generator, labels = Generator(), F.one_hot(torch.tensor([3, 5]), LABELS).float()
    styles = generator.styles(drawn(2, NOISE), labels)
    assert styles.shape == (2, STYLES, STYLE)
    assert (styles == styles[:, :1]).all()
    assert generator(styles).shape == (2, 4, 16, 16)


def test_labels_are_the_values_of_each_attribute():
    assert [len(values) for values in ATTRIBUTES.values()] == list(VALUES)
    (numbers,) = labels_of([Scene("dog", "brown", "in the snow", accessory="hat", seed=1)])
    places = [part.argmax() for part in numbers.split(VALUES)]
    assert [values[i] for values, i in zip(ATTRIBUTES.values(), places, strict=True)] == [
        "dog", "brown", "in the snow", "hat", None,
    ]  # fmt: skip
    assert numbers.sum() == len(ATTRIBUTES)


def test_what_is_moved_is_the_picture_itself_shifted():
    x = drawn(6, 2, 7, 7)
    for before, after in zip(x, moved(x, torch.Generator().manual_seed(3)), strict=True):
        padded = F.pad(before, (SHIFT,) * 4)
        shifts = [padded[:, i : i + 7, j : j + 7] for i in range(2 * SHIFT + 1) for j in range(2 * SHIFT + 1)]
        assert any(torch.equal(after, shift) for shift in shifts)


class Small:
    """Two networks on a handful of random latents."""

    penalty = 0.5

    def __init__(self) -> None:
        self.settings = TrainingSettings(adam=1e-3, muon=0.0, seed=1)
        torch.manual_seed(0)
        self.generator, self.discriminator = Generator(), Discriminator()
        self.network = nn.ModuleDict({"generator": self.generator, "discriminator": self.discriminator})
        self.latents, self.labels = drawn(16, 4, 16, 16), F.one_hot(torch.arange(16), LABELS).float()

    def is_plain(self, name: str) -> bool:
        return True

    def loss(self, draws: torch.Generator) -> torch.Tensor:
        raise NotImplementedError

    def real(self, draws: torch.Generator) -> Real:
        index = torch.randint(16, (8,), generator=draws)
        return Real(self.latents[index], self.labels[index])

    def fake(self, labels: torch.Tensor, draws: torch.Generator) -> torch.Tensor:
        return self.generator(self.generator.styles(torch.randn(len(labels), NOISE, generator=draws), labels))


def clock():
    ticks = iter(range(10_000))
    return lambda: float(next(ticks))


@pytest.mark.thorough
def test_training_goes_on_where_it_was_stopped(tmp_path):
    whole = AdversarialTraining(Small(), 6 / 60, clock())
    for _ in whole.run(tmp_path / "whole"):
        pass
    first = AdversarialTraining(Small(), 6 / 60, clock())
    for step, *_ in first.run(tmp_path / "parts"):
        if step == 3:
            break
    first.save(tmp_path / "parts")
    second = AdversarialTraining(Small(), 6 / 60, clock())
    assert second.resume(tmp_path / "parts")
    for _ in second.run(tmp_path / "parts"):
        pass
    assert second.step == whole.step
    assert all(torch.equal(weight, second.weights[name]) for name, weight in whole.weights.items())


@pytest.mark.thorough
def test_each_step_teaches_both_networks_and_no_gradient_crosses(tmp_path):
    training = AdversarialTraining(Small(), 1)
    before = {name: weight.detach().clone() for name, weight in training.weights.items()}
    training.advance()
    training.advance()
    still = [name for name, weight in training.weights.items() if torch.equal(weight, before[name])]
    assert not still
    assert all(weight.requires_grad for weight in training.pair.discriminator.parameters())
