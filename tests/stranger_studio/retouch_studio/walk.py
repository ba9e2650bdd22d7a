"""A solver and a schedule."""

from dataclasses import dataclass

import torch
from torch import Tensor

from retouch.api import KnownLevels, Predict, Rule, Schedule, Step, stage


@dataclass(frozen=True, slots=True)
class Adams:
    """Adams and Bashforth's second step: half as far again as the prediction before says.  State: latent, that x0."""

    def begin(self, x: Tensor) -> Tensor:
        """No prediction yet.  [C, h, w] -> [2, C, h, w]"""
        return torch.stack((x, x))

    def standing(self, x: Tensor, x0: Tensor) -> Tensor:
        """A source's own prediction is the source.  [C, h, w] twice -> [2, C, h, w]"""
        return torch.stack((x, x0))

    async def __call__(self, state: Tensor, step: Step, predict: Predict) -> Tensor:
        x, past = state
        x0 = (await predict(x, step.noisy)).x0
        ahead = x0 if step.before is None else 1.5 * x0 - 0.5 * past
        return torch.stack((step.clean.mix(ahead, (x - step.noisy.alpha * ahead) / step.noisy.sigma), x0))


@stage("solver", "adams", facts={"predictions": 1})
def adams() -> Rule:
    """Second order by remembering one prediction."""
    return Adams()


@stage("schedule", "quadratic", predicts=("epsilon", "v_prediction"))
def quadratic(schedule: Schedule) -> Schedule:
    """Timesteps that fall as a square, so that most are near the picture."""
    levels, count = KnownLevels(schedule), len(schedule)
    top = levels.top.timestep
    return levels.walk(levels.at(top * (1 - i / (count + 1)) ** 2) for i in range(count))
