"""The deterministic step, and the one with new noise.

Song et al. 2021, arXiv:2010.02502, eq. 12; Ho et al. 2020, arXiv:2006.11239, alg. 2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from torch import Tensor

from retouch.api import Ddim, Fresh, NoiseSource, Predict, Range, Rule, Step, stage, storable


@stage("solver", "ddim", paper="arXiv:2010.02502", facts={"predictions": 1})
def ddim(*, clip: Annotated[float, Range(0, 100)] = 0.0) -> Rule:
    """Take each step by the noise that is seen where it begins: first order, one prediction a step; Euler's on flow.

    clip: how far a predicted picture may lie from 0, the noise being what is left then; 0 is no bound.  Models of
        pixels are often sampled within 1, which is white; an inversion that walked without a bound is then missed.
    """
    return Ddim(clip=clip)


@storable
@dataclass(frozen=True, slots=True)
class Resampled:
    """New noise at each step, and the first step taken several times, noised again in between.

    Lugmayr et al. 2022 (RePaint), arXiv:2201.09865, at the first step alone, as Kwon and Ye 2023 have it.

    times: how often the first step is taken.
    """

    rule: Fresh
    times: int

    def begin(self, x: Tensor) -> Tensor:
        """As the rule within.  [C, h, w] -> [k, C, h, w]"""
        return self.rule.begin(x)

    def again(self, attempt: int) -> Resampled:
        """The same with other noise, for a walk that begins again."""
        return replace(self, rule=self.rule.again(attempt))

    async def __call__(self, state: Tensor, step: Step, predict: Predict) -> Tensor:
        for time in range(1, self.times if step.index == 0 else 1):
            noise = replace(self.rule.noise, key=f"{self.rule.noise.key}/time{time}")
            moved = await replace(self.rule, noise=noise)(state, step, predict)
            # Back up by q(noisy | clean): what alpha keeps of the state, and as much noise as is then missing.
            kept = step.noisy.alpha / step.clean.alpha
            added = (step.noisy.sigma**2 - (kept * step.clean.sigma) ** 2) ** 0.5
            (draw,) = replace(noise, key=f"{noise.key}/back").normal(1, like=state[0])
            state = kept * moved + added * draw
        return await self.rule(state, step, predict)


@stage("solver", "ddpm", paper="arXiv:2006.11239", facts={"predictions": 1, "extra": "first - 1", "redraws": "eta > 0"})
def ddpm(
    noise: NoiseSource,
    *,
    eta: Annotated[float, Range(0, 1)] = 1.0,
    first: Annotated[int, Range(1, 100, "times")] = 1,
    clip: Annotated[float, Range(0, 100)] = 0.0,
) -> Rule:
    """Take each step with new noise, the same for the edit and its source; also known as ancestral sampling.

    What is kept of a source that no blend puts back falls, since the noise is no part of it.

    eta: how much new noise; 0 is `solver ddim`, 1 DDPM.
    clip: how far a predicted picture may lie from 0, as `solver ddim` has it; 0 is no bound.
    first: how often the first step is taken, the picture noised again in between, so that what leads it has longer to
        agree with what is there; DiffuseIT takes it ten times.
    """
    fresh = Fresh(Ddim(eta, clip), noise, eta)
    return Resampled(fresh, first) if first > 1 else fresh
