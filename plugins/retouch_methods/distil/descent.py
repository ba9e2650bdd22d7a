"""What distillations share: the levels that they draw, the noise, and the step inside a mask."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from retouch.api import Adam, Latents, Mask, NoiseSource, Schedule, Step, on_host

# Where both prompts agree, rows of one call may differ in their last bits, and Adam would make full steps of that:
# what is small beside the noise's own unit is no gradient.
EPSILON = 1e-4


class Descent:
    """Latents that go down one gradient after the other, inside a mask alone.

    x: Tensor  # [C, h, w]
    rate: of "sgd" times the gradient, whose unit is that of noise; of "adam" each cell's step, in units of latents.
    """

    def __init__(self, start: Latents, mask: Mask | None, optimizer: Literal["sgd", "adam"], rate: float) -> None:
        self.x = start.data
        self._area = None if mask is None else mask.on(start).to(start.data)  # [h, w]
        self._adam = Adam(rate, epsilon=EPSILON) if optimizer == "adam" else None
        self._rate = rate

    async def idle(self) -> bool:
        """Whether the mask takes nothing, so that no gradient would be heeded."""
        return self._area is not None and not bool(await on_host(self._area.any()))

    def step(self, grad: Tensor) -> None:
        """Go down a gradient, as far in each cell as the mask takes it.  grad: [C, h, w]"""
        moved = self._adam.step(self.x, grad) if self._adam else torch.sub(self.x, grad, alpha=self._rate)
        self.x = moved if self._area is None else torch.lerp(self.x, moved.to(self.x), self._area)


def drawn(schedule: Schedule, rounds: int, low: float, high: float, noise: NoiseSource) -> list[Step]:
    """A step of the schedule for each round, each as likely as any other between two shares of the walk.

    Shares count from the picture: of 999 steps, 0.05 to 0.95 are the trained timesteps 50 to 949.  A step
    that ends at the picture itself is left out, since it has no noise of its own.
    """
    steps = [*schedule.ascending()]
    first, last = int(low * len(steps) + 1e-9), int(high * len(steps) + 1e-9)
    between = [step for step in steps[first : max(last, first + 1)] if step.clean.sigma > 0] or steps[-1:]
    draws = replace(noise, key=f"{noise.key}/levels").normal(rounds, like=torch.zeros((), dtype=torch.float64))
    even = torch.special.ndtr(draws)  # [rounds], even in 0 to 1
    return [between[min(int(share * len(between)), len(between) - 1)] for share in even.tolist()]


def fresh(noise: NoiseSource, round_: int, like: Tensor) -> Tensor:
    """The noise of one round.  [C, h, w]"""
    return replace(noise, key=f"{noise.key}/{round_}").normal(1, like=like)[0]
