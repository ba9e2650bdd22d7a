"""A solver: how a step is taken from one noise level to the next."""

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from retouch.api import Predict, Range, Rule, Step, hookimpl, stage


@dataclass(frozen=True, slots=True)
class NewcomerRule:
    """The step of DDIM, towards a picture that is kept within bounds.  States are [1, C, h, w]."""

    limit: float

    def begin(self, x: Tensor) -> Tensor:
        """[C, h, w] -> [1, C, h, w]; a rule of several latents that move together has more."""
        return x[None]

    async def __call__(self, state: Tensor, step: Step, predict: Predict) -> Tensor:
        """Take one step, from step.noisy to step.clean; `predict` is model, prompt and guidance together."""
        (x,) = state
        pred = await predict(x, step.noisy)
        x0 = pred.x0.clamp(-self.limit, self.limit)
        eps = (x - step.noisy.alpha * x0) / step.noisy.sigma
        return step.clean.mix(x0, eps)[None]


@stage("solver", "newcomer", facts={"predictions": 1})
def newcomer(*, limit: Annotated[float, Range(0.1, 100)] = 6.0) -> Rule:
    """Step as DDIM does, and clip each predicted picture in latents, so that strong guidance does not burn it.

    limit: the largest latent that is kept; most latents lie within 4.
    """
    return NewcomerRule(limit)


@hookimpl
def retouch_stages():
    """What this distribution adds."""
    return [newcomer]
