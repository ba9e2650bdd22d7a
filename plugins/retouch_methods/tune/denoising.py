"""Learning to denoise pictures: the loss that diffusion models are trained with, and steps of Adam down it.

Ho et al. 2020, arXiv:2006.11239, alg. 1: a level drawn evenly, noise of its own, and the mean square of what the
network misses of what it is to put out (which is a velocity in Salimans and Ho 2022, and on flow).
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from retouch.api import (
    Adam,
    Denoiser,
    Diverged,
    Gradient,
    KnownLevels,
    Level,
    ModelDelta,
    NoiseSource,
    Patch,
    Prediction,
    Prompt,
    Schedule,
    TrainingLog,
    gather,
    on_host,
    step_all,
    value_and_grad,
)


class Example(NamedTuple):
    """What one draw shows the network: latents [C, h, w], a level, noise, and which part they are, if not all."""

    x0: Tensor
    level: Level
    eps: Tensor
    place: Patch | None = None


@dataclass(frozen=True, slots=True)
class Practice:
    """What steps of training see: at each a level of the model's, drawn evenly, and noise.

    Draws depend on the number of the step alone, so a training that goes on later sees what it would have seen.
    """

    known: KnownLevels
    noise: NoiseSource

    @staticmethod
    def of(schedule: Schedule, noise: NoiseSource) -> Practice:
        """Practice on all levels of the model that walks this schedule."""
        return Practice(KnownLevels(schedule), noise)

    def at(self, step: int, like: Tensor, copy: int = 0) -> tuple[Level, Tensor]:
        """The level and the noise of one step; another `copy` has others.  like: [C, h, w], as the noise"""
        drawn = replace(self.noise, key=f"{self.noise.key}/{step}.{copy}")
        return self._level(drawn.uniform(1)[0]), replace(drawn, key=f"{drawn.key}.noise").normal(1, like)[0]

    def of_pictures(
        self, clean: Sequence[Tensor] | Tensor, batch: int, first: int = 0
    ) -> Callable[[int], Awaitable[list[Example]]]:
        """So many draws a step, of pictures that take turns from draw to draw.

        clean: each [C, h, w]; first: how many draws other pictures have in the same step, whose noise is not theirs.
        """

        async def seen(step: int) -> list[Example]:
            shown = [clean[(step * batch + i) % len(clean)] for i in range(batch)]
            return [Example(x0, *self.at(step, x0, copy)) for copy, x0 in enumerate(shown, first)]

        return seen

    def _level(self, share: float) -> Level:
        """The level that lies this far up: a trained one, or, on flow, any.  share: in [0, 1)"""
        top = self.known.top.timestep
        return self.known.at(share * top if self.known.flow else int(share * (top + 1)))


async def missed(model: Denoiser, x0: Tensor, level: Level, eps: Tensor, prompt: Prompt) -> Tensor:
    """The mean square of what the network misses of these latents under this noise.  All [C, h, w] -> []"""
    pred = await model(level.mix(x0, eps), level, prompt)
    kind = model.predicts
    return (level.output(kind, pred) - level.output(kind, Prediction(torch.stack((x0, eps))))).square().mean()


async def mean_missed(model: Denoiser, seen: Sequence[Example], prompt: Prompt) -> Tensor:
    """The mean of what the network misses in the draws of one step.  -> []"""

    def told(place: Patch | None) -> Denoiser:
        return model.tuned(ModelDelta(place=place)) if place else model

    every = (missed(told(place), x0, level, eps, prompt) for x0, level, eps, place in seen)
    return torch.stack(await gather(every)).mean()


Miss = Callable[..., Awaitable[Tensor]]
"""async (number of the step, *tensors) -> loss  # []"""
Keep = Callable[[int, Sequence[Tensor]], None]
LOOK = 8  # steps between two looks at losses on an accelerator; by their number, so that a run's calls are no chance's


@dataclass(slots=True)
class LossScale:
    """By what a loss is multiplied so that small gradients are no zeros in float16.  Micikevicius et al. 2018.

    Where some would be too large for float16 it is halved, and the step is done again.
    """

    value: float = 1.0

    @staticmethod
    def of(model: Denoiser) -> LossScale:
        """One for the precision that a network computes in."""
        half = any(weight.dtype == torch.float16 for weight in model.core.base.values())
        return LossScale(2.0**12 if half else 1.0)

    async def value_and_grad(self, miss: Callable[..., Awaitable[Tensor]], *at: Tensor) -> Gradient:
        """The loss and its gradients, as if nothing were multiplied."""

        async def scaled(*tensors: Tensor) -> tuple[Tensor, Tensor]:
            loss = await miss(*tensors)
            return loss * self.value, loss.detach()

        while True:
            _, grads, loss = await value_and_grad(scaled, *at)
            if self.value <= 1:
                return Gradient(loss, grads)
            if (await on_host(torch.stack([grad.isfinite().all() for grad in grads]))).all():
                held = list(grads)
                del grads
                for i, grad in enumerate(held):  # one by one: of a large network there is no room for all twice
                    held[i] = grad.float() / self.value
                return Gradient(loss, tuple(held))
            self.value /= 2


async def descend(
    tensors: Sequence[Tensor],
    miss: Miss,
    adams: Sequence[Adam],
    steps: range,
    log: Callable[[int, float], None],
    scale: LossScale | None = None,
    keep: Keep = lambda _done, _tensors: None,
) -> list[Tensor]:
    """Steps of Adam down a loss.  Returns the tensors, in their order.

    steps: the numbers of the steps that are taken; those of an earlier call may go before them, with the same `adams`.
    log: told how many steps are done, and the loss of the last: on an accelerator of each eighth step and of the last,
        as all would wait for it.  What has diverged goes on until then, and nothing of it is kept.
    scale: what the loss is multiplied by on its way back, where a network computes in float16.
    keep: given how many steps are done, and the tensors as they are then.
    Raises Diverged where the loss is no number.
    """
    moved, scale, unread = list(tensors), scale or LossScale(), list[Tensor]()
    for step in steps:
        found = await scale.value_and_grad(partial(miss, step), *moved)
        grads, unread = list(found.grads), [*unread, found.loss]
        del found  # of a large network nothing is held longer than it is of use
        step_all(adams, moved, grads)
        if not (unread[0].device.type == "cpu" or len(unread) == LOOK or step + 1 == steps.stop):
            continue
        losses = (await on_host(torch.stack(unread))).tolist()
        if wrong := [step + 2 - len(losses) + i for i, loss in enumerate(losses) if not math.isfinite(loss)]:
            raise Diverged(wrong[0])
        unread = []
        log(step + 1, losses[-1])
        keep(step + 1, moved)
    return moved


def counted(log: TrainingLog, before: int, of: int) -> Callable[[int, float], None]:
    """Tell a log of steps that follow `before` others, of so many in all."""
    return lambda done, loss: log.learnt(before + done, of, loss)
