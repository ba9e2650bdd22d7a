"""Solvers: how one step is taken along what the model predicts.  States are [k, C, h, w], as of every Rule."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from retouch.core.declared.storable import storable
from retouch.core.schedule import Level, Step
from retouch.core.values import NoiseSource
from retouch.core.walk import Predict, Rule


@storable
@dataclass(frozen=True, slots=True)
class Ddim:
    """The mean of a step, without its new noise.  Song et al. 2021, eq. 12.

    eta=1 is DDPM; on flow, eta=0 is Euler.
    clip: how far a predicted x0 may lie from 0; what x has besides is then its noise.  0 is no bound.
    """

    eta: float = 0.0
    clip: float = 0.0

    def begin(self, x: Tensor) -> Tensor:
        """One latent.  [C, h, w] -> [1, C, h, w]"""
        return x[None]

    async def __call__(self, state: Tensor, step: Step, predict: Predict) -> Tensor:
        pred = await predict(state[0], step.noisy)
        x0, eps = pred.x0, pred.eps
        if self.clip:
            x0 = x0.clamp(-self.clip, self.clip)
            # x is the same still, so what x0 no longer explains of it has to be noise.
            eps = torch.sub(state[0], x0, alpha=step.noisy.alpha) / step.noisy.sigma
        return step.mean(x0, eps, self.eta)[None]


@storable
@dataclass(frozen=True, slots=True)
class Heun:
    """Second order by two predictions a step.  Karras et al. 2022, arXiv:2206.00364, alg. 1, on this ODE."""

    def begin(self, x: Tensor) -> Tensor:
        """One latent.  [C, h, w] -> [1, C, h, w]"""
        return x[None]

    async def __call__(self, state: Tensor, step: Step, predict: Predict) -> Tensor:
        here = await predict(state[0], step.noisy)
        there = await predict(step.clean.mix(here.x0, here.eps), step.clean)
        # The mean of both slopes, taken from where the step begins: the first half was only to look.
        return step.carry(state[0], here.toward(there, 0.5))[None]


@storable
@dataclass(frozen=True, slots=True)
class DpmPlusPlus2M:
    """Second-order multistep solver.  Lu et al. 2022, arXiv:2211.01095, alg. 2.  Its history is part of the state."""

    def begin(self, x: Tensor) -> Tensor:
        """The latent, and the x0 of the step before (unused until there is one).  [C, h, w] -> [2, C, h, w]"""
        return torch.stack((x, x))

    def standing(self, x: Tensor, x0: Tensor) -> Tensor:
        """The state of a source that is at x: what it predicted before is itself.  [C, h, w] twice -> [2, C, h, w]"""
        return torch.stack((x, x0))

    async def __call__(self, state: Tensor, step: Step, predict: Predict) -> Tensor:
        x, past = state  # [C, h, w] each
        x0 = (await predict(x, step.noisy)).x0  # [C, h, w]
        h = _log_snr(step.clean) - _log_snr(step.noisy)
        ahead = x0  # [C, h, w], extrapolated to the middle of the step where there is a past to do it from
        if step.before is not None and math.isfinite(h):  # no past at first; to sigma = 0, x0 is reached
            ratio = (_log_snr(step.noisy) - _log_snr(step.before)) / h
            ahead = x0 + (x0 - past) / (2 * ratio)
        moved = step.clean.sigma / step.noisy.sigma * x - step.clean.alpha * math.expm1(-h) * ahead
        return torch.stack((moved, x0))


@storable
@dataclass(frozen=True, slots=True)
class Fresh:
    """A rule whose steps add noise of their own, as `Step.fresh` has it; what walks beside it draws the same.

    rule: takes the mean of the step under the same eta, such as Ddim(eta).
    """

    rule: Rule
    noise: NoiseSource
    eta: float = 1.0

    def begin(self, x: Tensor) -> Tensor:
        """As the rule within.  [C, h, w] -> [k, C, h, w]"""
        return self.rule.begin(x)

    def again(self, attempt: int) -> Fresh:
        """The same with other noise, for a walk that begins again."""
        return replace(self, noise=replace(self.noise, key=f"{self.noise.key}/again{attempt}"))

    async def __call__(self, state: Tensor, step: Step, predict: Predict) -> Tensor:
        mean = await self.rule(state, step, predict)
        # Keyed by the step, so that what was drawn before, and by whom, does not count.
        (draw,) = replace(self.noise, key=f"{self.noise.key}/{step.index}").normal(1, like=state[0])
        return torch.add(mean, draw, alpha=step.fresh(self.eta))


def _log_snr(level: Level) -> float:
    if not level.alpha:
        return -math.inf
    return math.log(level.alpha / level.sigma) if level.sigma else math.inf
