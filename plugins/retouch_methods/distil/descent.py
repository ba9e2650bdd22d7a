"""What distillations share: the levels that they take, the noise, and the step inside a mask."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from retouch.api import Adam, Latents, Mask, NoiseSource, Schedule, Step, on_host

# Where both prompts agree, rows of one call may differ in their last bits, and Adam would make full steps of that:
# what is small beside the noise's own unit is no gradient.
EPSILON = 1e-4


class Descent:
    """Latents that go down one gradient after the other, inside a mask alone.

    x: Tensor  # [C, h, w]
    rate: of "sgd" times the gradient, whose unit is that of noise; of "adam" each cell's step, in units of latents.
    share: of the mask's cells, how many may differ from the start: the ones around which most has changed.
    """

    def __init__(
        self,
        start: Latents,
        mask: Mask | None,
        optimizer: Literal["sgd", "adam"],
        rate: float,
        share: float = 1.0,
    ) -> None:
        self.x = self._start = start.data
        self._area = None if mask is None else mask.on(start).to(start.data)  # [h, w]
        self._adam = Adam(rate, epsilon=EPSILON) if optimizer == "adam" else None
        self._rate, self._share = rate, share

    async def idle(self) -> bool:
        """Whether the mask takes nothing, so that no gradient would be heeded."""
        return self._area is not None and not bool(await on_host(self._area.any()))

    def step(self, grad: Tensor) -> None:
        """Go down a gradient, as far in each cell as the mask takes it.  grad: [C, h, w]"""
        moved = self._adam.step(self.x, grad) if self._adam else torch.sub(self.x, grad, alpha=self._rate)
        self.x = moved if self._area is None else torch.lerp(self.x, moved.to(self.x), self._area)
        if self._share < 1:
            self.x = torch.where(self._changes_most(), self.x, self._start)

    def _changes_most(self) -> Tensor:
        """The share of cells whose surroundings have changed most.  [h, w] bool"""
        change = (self.x - self._start).abs().mean(0)
        around = F.avg_pool2d(change[None, None], 3, 1, 1, count_include_pad=False)[0, 0]
        inside = torch.ones_like(around, dtype=torch.bool) if self._area is None else self._area > 0
        # Cells that the mask keeps come last.  Ranks, not a threshold: how many they are needs no look at the device.
        order = torch.where(inside, around, -1.0).flatten().argsort(descending=True, stable=True)
        rank = torch.empty_like(order).scatter_(0, order, torch.arange(len(order), device=order.device))
        return (rank < (inside.sum() * self._share).ceil()).reshape(around.shape)


def between(schedule: Schedule, low: float, high: float) -> list[Step]:
    """The steps between two shares of the walk, cleanest first.

    Shares count from the picture: of 999 steps, 0.05 to 0.95 are the trained timesteps 50 to 949.  A step
    that ends at the picture itself is left out, since it has no noise of its own.
    """
    steps = [*schedule.ascending()]
    first, last = int(low * len(steps) + 1e-9), int(high * len(steps) + 1e-9)
    return [step for step in steps[first : max(last, first + 1)] if step.clean.sigma > 0] or steps[-1:]


def drawn(schedule: Schedule, rounds: int, low: float, high: float, noise: NoiseSource) -> list[Step]:
    """A step of the schedule for each round, each between these shares as likely as any other."""
    steps = between(schedule, low, high)
    draws = replace(noise, key=f"{noise.key}/levels").normal(rounds, like=torch.zeros((), dtype=torch.float64))
    even = torch.special.ndtr(draws)  # [rounds], even in 0 to 1
    return [steps[min(int(share * len(steps)), len(steps) - 1)] for share in even.tolist()]


def falling(schedule: Schedule, rounds: int, low: float, high: float) -> list[Step]:
    """A step of the schedule for each round, from the noisiest between these shares down to the cleanest, evenly."""
    steps = between(schedule, low, high)
    return [steps[round((len(steps) - 1) * (1 - i / max(1, rounds - 1)))] for i in range(rounds)]


def fresh(noise: NoiseSource, round_: int, like: Tensor) -> Tensor:
    """The noise of one round.  [C, h, w]"""
    return several(noise, round_, 1, like)[0]


def several(noise: NoiseSource, round_: int, count: int, like: Tensor) -> Tensor:
    """Noises of one round, the first the same however many.  [count, C, h, w]"""
    return replace(noise, key=f"{noise.key}/{round_}").normal(count, like=like)
