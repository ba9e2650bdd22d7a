"""The loop for two networks against each other: the product's loop, with a step for each.

Non-saturating loss and lazy R1 (Karras et al. 2020, arXiv:1912.04958, section 3.2 and appendix B), latents moved about
before the discriminator sees them (Zhao et al. 2020, arXiv:2006.10738).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from retouch_storybook.train.loop import Training, TrainingSettings, draws

EVERY = 16  # steps from one penalty of the discriminator's gradient to the next
BETAS = (0.0, 0.99)
SHIFT = 2  # cells, at most


@dataclass(frozen=True, slots=True)
class Real:
    """A batch to learn from."""

    latents: Tensor  # [n, 4, 16, 16]
    labels: Tensor  # [n, LABELS]


class Adversaries(Protocol):
    """What the loop needs to know of two networks."""

    settings: TrainingSettings
    network: nn.Module  # of both, the averaged one among them
    generator: nn.Module
    discriminator: nn.Module
    penalty: float  # weight of R1

    def is_plain(self, name: str) -> bool: ...
    def loss(self, draws: torch.Generator) -> Tensor: ...
    def real(self, draws: torch.Generator) -> Real: ...
    def fake(self, labels: Tensor, draws: torch.Generator) -> Tensor: ...


class AdversarialTraining(Training):
    """Two networks being trained; state, budget and average are the product's loop's."""

    def __init__(self, part: Adversaries, minutes: float, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(part, minutes, clock)
        self.pair = part
        rate, lazy = part.settings.adam, EVERY / (EVERY + 1)
        self.optimizers = {
            "generator": (_adam(part.generator, rate, BETAS), rate),
            "discriminator": (_adam(part.discriminator, rate * lazy, (0.0, BETAS[1] ** lazy)), rate * lazy),
        }

    def advance(self) -> Tensor:
        """Take one step of the discriminator and one of the generator, and give the generator's loss."""
        random, pace = draws(self.pair.settings.seed, self.step), self.pace()
        fast = self.pair.settings.bfloat16 and torch.cpu._is_avx512_bf16_supported()
        for optimizer, rate in self.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = rate * pace
        with torch.autocast("cpu", torch.bfloat16, enabled=fast):
            loss = self._judge(random)
        self._step("discriminator", loss)
        # Lazily, as StyleGAN2: seldom, and weighed by the steps that it stands for.
        if self.step % EVERY == 0:
            self._step("discriminator", self._penalty(random))
        with torch.autocast("cpu", torch.bfloat16, enabled=fast):
            loss = self._deceive(random)
        self._step("generator", loss)
        self._follow()
        self.step += 1
        return loss.detach()

    def _judge(self, random: torch.Generator) -> Tensor:
        """Tell drawings from what is made, both of the same labels."""
        real = self.pair.real(random)
        with torch.no_grad():
            fake = self.pair.fake(real.labels, random)
        latents = torch.cat([moved(real.latents, random), moved(fake, random)])
        said = self.pair.discriminator(latents, real.labels.repeat(2, 1)).float()
        true, false = said.tensor_split(2)
        return F.softplus(-true).mean() + F.softplus(false).mean()

    def _deceive(self, random: torch.Generator) -> Tensor:
        labels = self.pair.real(random).labels
        # The gradient passes through it to the generator; its own would be thrown away.
        self.pair.discriminator.requires_grad_(False)
        said = self.pair.discriminator(moved(self.pair.fake(labels, random), random), labels).float()
        self.pair.discriminator.requires_grad_(True)
        return F.softplus(-said).mean()

    def _penalty(self, random: torch.Generator) -> Tensor:
        """R1: the squared gradient of the score of drawings, times the steps that it stands for."""
        real = self.pair.real(random)
        latents = moved(real.latents, random).requires_grad_()
        said = self.pair.discriminator(latents, real.labels)
        (slope,) = torch.autograd.grad(said.sum(), latents, create_graph=True)
        return 0.5 * self.pair.penalty * EVERY * slope.square().sum((1, 2, 3)).mean()

    def _step(self, who: str, loss: Tensor) -> None:
        optimizer, _ = self.optimizers[who]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()


def moved(latents: Tensor, random: torch.Generator) -> Tensor:
    """Shift each picture by a few cells, zeros coming in.  [n, C, h, w]"""
    n, _, height, width = latents.shape
    by = torch.randint(2 * SHIFT + 1, (2, n), generator=random)
    padded = F.pad(latents, (SHIFT,) * 4)
    rows, columns = by[0][:, None] + torch.arange(height), by[1][:, None] + torch.arange(width)
    which = torch.arange(n)[:, None, None]
    return padded.permute(0, 2, 3, 1)[which, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _adam(network: nn.Module, rate: float, betas: tuple[float, float]) -> torch.optim.Optimizer:
    return torch.optim.Adam(network.parameters(), rate, betas=betas, eps=1e-8)
