"""Fixed points of an inversion step: the noisier latent from which the sampler's step leads back to the cleaner one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from retouch.api import Predict, Step

MEMORY = 5  # rounds that Anderson's mixture looks back on; residuals much older than the last only add rounding

Mix = Callable[[Sequence[Tensor], Sequence[Tensor]], Tensor]
"""(guesses, what the step made of each) -> the next guess"""


async def solve(step: Step, x: Tensor, predict: Predict, guess: Tensor, rounds: int, mix: Mix) -> list[Tensor]:
    """Solve x_t = f(x_t) for the noisy end of a step whose clean end is x.  Returns the guesses, the first first.

    x, guess: Tensor  # [C, h, w], as all guesses and all that they led to
    """
    guesses, reached = [guess], list[Tensor]()
    for _ in range(rounds):
        pred = await predict(guesses[-1], step.noisy)
        reached.append(step.uncarry(x, pred))
        guesses.append(mix(guesses, reached))
    return guesses


def picard(guesses: Sequence[Tensor], reached: Sequence[Tensor]) -> Tensor:
    """What the last guess led to.  [C, h, w]"""
    return reached[-1]


def empirical(guesses: Sequence[Tensor], reached: Sequence[Tensor]) -> Tensor:
    """The mean of what the last two guesses led to: AIDI_E.  [C, h, w]"""
    return torch.stack(tuple(reached[-2:])).mean(0)


def anderson(guesses: Sequence[Tensor], reached: Sequence[Tensor]) -> Tensor:
    """The mixture of the last rounds, with weights that add up to 1, whose residuals cancel best: AIDI_A.

    Returns [C, h, w]; m is the number of rounds that are remembered.
    """
    ends = torch.stack(tuple(reached[-MEMORY:])).double()  # [m, C, h, w]
    missed = (ends - torch.stack(tuple(guesses[-MEMORY:]))).flatten(1)  # [m, C h w]
    share = -torch.linalg.pinv((missed[:-1] - missed[-1]).T) @ missed[-1]  # [m - 1]
    weights = torch.cat((share, 1 - share.sum(0, keepdim=True)))  # [m]
    return torch.tensordot(weights, ends, 1).to(reached[-1])
