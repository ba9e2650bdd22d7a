"""Rules: how one step is taken.  Base rules move; wrappers add what an inversion recorded, and nest freely."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from retouch.core.ops import gather
from retouch.core.schedule import Level, Prediction, Schedule, Step
from retouch.core.values import Predict, Prompt, Rule


@dataclass(frozen=True, slots=True)
class Ddim:
    """The mean of a step, without its new noise.  Song et al. 2021, eq. 12.

    eta=1 is DDPM; on flow, eta=0 is Euler.
    """

    eta: float = 0.0

    def begin(self, x: Tensor) -> Tensor:
        """One latent."""
        return x[None]

    async def __call__(self, state: Tensor, step: Step, predict: Predict) -> Tensor:
        pred = await predict(state[0], step.noisy)
        return step.mean(pred.x0, pred.eps, self.eta)[None]


@dataclass(frozen=True, slots=True)
class Edict:
    """Two latents, each moved along the noise seen at the other, then mixed.  Wallace et al. 2022, eq. 12-15.

    Un-mixing multiplies rounding errors by mix**-steps: above about 15 in steps * -log(mix) float64 is used up.
    """

    mix: float = 0.93

    def begin(self, x: Tensor) -> Tensor:
        """Two equal latents, in float64."""
        return torch.stack((x, x)).double()

    async def __call__(self, state: Tensor, step: Step, predict: Predict) -> Tensor:
        pair = list(state)
        for moved, seen in self._turns(step):
            pred = await predict(pair[seen], step.noisy)
            pair[moved] = step.carry(pair[moved], pred.eps)
        x = self.mix * pair[0] + (1 - self.mix) * pair[1]
        return torch.stack((x, (1 - self.mix) * x + self.mix * pair[1]))

    async def undo(self, state: Tensor, step: Step, predict: Predict) -> Tensor:
        """The state that this rule would have moved here: the exact inverse of a step."""
        y = (state[1] - (1 - self.mix) * state[0]) / self.mix
        pair = [(state[0] - (1 - self.mix) * y) / self.mix, y]
        for moved, seen in reversed(self._turns(step)):
            pred = await predict(pair[seen], step.noisy)
            pair[moved] = step.uncarry(pair[moved], pred.eps)
        return torch.stack(pair)

    @staticmethod
    def _turns(step: Step) -> tuple[tuple[int, int], tuple[int, int]]:
        """(moved, seen), in order; who goes first alternates, so that neither lags."""
        return ((0, 1), (1, 0)) if step.index % 2 == 0 else ((1, 0), (0, 1))


@dataclass(frozen=True, slots=True)
class DpmPlusPlus2M:
    """Second-order multistep solver.  Lu et al. 2022, arXiv:2211.01095, alg. 2.  Its history is part of the state."""

    def begin(self, x: Tensor) -> Tensor:
        """The latent, and the x0 of the step before (unused until there is one)."""
        return torch.stack((x, x))

    async def __call__(self, state: Tensor, step: Step, predict: Predict) -> Tensor:
        x, past = state
        x0 = (await predict(x, step.noisy)).x0
        h = _log_snr(step.clean) - _log_snr(step.noisy)
        ratio = math.inf
        if step.before is not None and math.isfinite(h):
            ratio = (_log_snr(step.noisy) - _log_snr(step.before)) / h
        ahead = x0 + (x0 - past) / (2 * ratio)
        moved = step.clean.sigma / step.noisy.sigma * x - step.clean.alpha * math.expm1(-h) * ahead
        return torch.stack((moved, x0))


def _log_snr(level: Level) -> float:
    return math.log(level.alpha / level.sigma) if level.sigma else math.inf


@dataclass(frozen=True, slots=True)
class Heun:
    """Second order by two predictions a step.  Karras et al. 2022, arXiv:2206.00364, alg. 1, on this ODE."""

    def begin(self, x: Tensor) -> Tensor:
        """One latent."""
        return x[None]

    async def __call__(self, state: Tensor, step: Step, predict: Predict) -> Tensor:
        here = await predict(state[0], step.noisy)
        there = await predict(step.clean.mix(here.x0, here.eps), step.clean)
        return step.carry(state[0], (here.eps + there.eps) / 2)[None]


@dataclass(frozen=True, slots=True, eq=False)
class Offset:
    """A rule that is pushed back onto a recorded walk: recorded noises, DPM-Encoder codes, FlowEdit.

    offsets: Tensor  # [N, k, C, h, w]
    """

    rule: Rule
    offsets: Tensor

    def begin(self, x: Tensor) -> Tensor:
        """As the rule within."""
        return self.rule.begin(x)

    async def __call__(self, state: Tensor, step: Step, predict: Predict) -> Tensor:
        return await self.rule(state, step, predict) + self.offsets[step.index]


async def hold(rule: Rule, states: Tensor, schedule: Schedule, predict: Predict) -> Offset:
    """The offsets that make `rule` pass through any `states` [N + 1, k, C, h, w]; all steps share one forward pass."""
    reached = await gather(rule(state, step, predict) for state, step in zip(states[:-1], schedule, strict=True))
    return Offset(rule, states[1:] - torch.stack(reached) if reached else states[1:])


@dataclass(frozen=True, slots=True, eq=False)
class Negatives:
    """A negative prompt for each step (null-text), or one for all (negative-prompt inversion)."""

    rule: Rule
    negatives: tuple[Prompt, ...]

    def begin(self, x: Tensor) -> Tensor:
        """As the rule within."""
        return self.rule.begin(x)

    async def __call__(self, state: Tensor, step: Step, predict: Predict) -> Tensor:
        async def instead(
            x: Tensor, level: Level, *, prompt: Prompt | None = None, negative: Prompt | None = None
        ) -> Prediction:
            return await predict(x, level, prompt=prompt, negative=negative or self.negatives[step.index])

        return await self.rule(state, step, instead)


@dataclass(frozen=True, slots=True, eq=False)
class Injected:
    """For the first steps, pull the predicted noise towards the inverted one.  Elarabawy et al. 2022.

    noise: Tensor  # [N, C, h, w]
    share: 0 leaves the prediction, 1 replaces it.
    """

    rule: Rule
    noise: Tensor
    share: float
    steps: int

    def begin(self, x: Tensor) -> Tensor:
        """As the rule within."""
        return self.rule.begin(x)

    async def __call__(self, state: Tensor, step: Step, predict: Predict) -> Tensor:
        async def pulled(
            x: Tensor, level: Level, *, prompt: Prompt | None = None, negative: Prompt | None = None
        ) -> Prediction:
            eps = (await predict(x, level, prompt=prompt, negative=negative)).eps
            return level.seen_as(x, torch.lerp(eps, self.noise[step.index].to(eps), self.share))

        return await self.rule(state, step, pulled if step.index < self.steps else predict)


@dataclass(frozen=True, slots=True, eq=False)
class Renoise:
    """On a step that goes up, add noise by the exact transition; else as the rule.  RePaint, Lugmayr et al. 2022.

    noises: Tensor  # [N, C, h, w]
    """

    rule: Rule
    noises: Tensor

    def begin(self, x: Tensor) -> Tensor:
        """As the rule within."""
        return self.rule.begin(x)

    async def __call__(self, state: Tensor, step: Step, predict: Predict) -> Tensor:
        kept = step.clean.alpha / step.noisy.alpha
        if kept > 1:
            return await self.rule(state, step, predict)
        added = (step.clean.sigma**2 - (kept * step.noisy.sigma) ** 2) ** 0.5
        return kept * state + added * self.noises[step.index]
