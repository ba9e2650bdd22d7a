"""Rules that wrap a rule with what an inversion recorded; they nest freely.

States are [k, C, h, w], as of every Rule; what predicts is called with one latent [C, h, w].
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from retouch.core.awaited.combinators import gather
from retouch.core.declared.storable import storable
from retouch.core.schedule import Level, Prediction, Schedule, Step
from retouch.core.values import Prompt
from retouch.core.walk import Predict, Rule, Trajectory


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """The base of rules around a rule: a state is one of the rule within, a step adds what was recorded."""

    rule: Rule

    def begin(self, x: Tensor) -> Tensor:
        """As the rule within.  [C, h, w] -> [k, C, h, w]"""
        return self.rule.begin(x)

    def around(self, rule: Rule) -> Recorded:
        """What was recorded, round another rule in the place of the innermost."""
        return replace(self, rule=self.rule.around(rule) if isinstance(self.rule, Recorded) else rule)


@storable
@dataclass(frozen=True, slots=True, eq=False)
class Offset(Recorded):
    """A rule that is pushed back onto a recorded walk: recorded noises, DPM-Encoder codes, FlowEdit.

    offsets: Tensor  # [N, k, C, h, w]
    """

    offsets: Tensor

    async def __call__(self, state: Tensor, step: Step, predict: Predict) -> Tensor:
        return await self.rule(state, step, predict) + self.offsets[step.index]


@storable
@dataclass(frozen=True, slots=True, eq=False)
class Negatives(Recorded):
    """A negative prompt for each step (null-text), or one for all (negative-prompt inversion)."""

    negatives: tuple[Prompt, ...]

    async def __call__(self, state: Tensor, step: Step, predict: Predict) -> Tensor:
        async def instead(
            x: Tensor, level: Level, *, prompt: Prompt | None = None, negative: Prompt | None = None
        ) -> Prediction:
            return await predict(x, level, prompt=prompt, negative=negative or self.negatives[step.index])

        return await self.rule(state, step, instead)


@storable
@dataclass(frozen=True, slots=True, eq=False)
class Injected(Recorded):
    """For the first steps, pull the predicted noise (on flow, the velocity) towards the inverted one.

    Elarabawy et al. 2022.

    noise: Tensor  # [N, C, h, w], as `Level.said` tells it, or if `of_noise` noise itself, on flow too
    share: 0 leaves the prediction, 1 replaces it.
    """

    noise: Tensor
    share: float
    steps: int
    of_noise: bool = False

    async def __call__(self, state: Tensor, step: Step, predict: Predict) -> Tensor:
        async def pulled(
            x: Tensor, level: Level, *, prompt: Prompt | None = None, negative: Prompt | None = None
        ) -> Prediction:
            pred, wanted = await predict(x, level, prompt=prompt, negative=negative), self.noise[step.index].to(x)
            if self.of_noise:
                if not level.alpha:
                    return pred  # at pure noise x is the noise, whatever the prediction
                wanted = level.said(level.seen_as(x, wanted))
            return level.heard(x, torch.lerp(level.said(pred), wanted, self.share))

        return await self.rule(state, step, pulled if step.index < self.steps else predict)


@storable
@dataclass(frozen=True, slots=True, eq=False)
class Renoise(Recorded):
    """On a step that goes up, add noise by the exact transition; else as the rule.  RePaint, Lugmayr et al. 2022.

    noises: Tensor  # [N, C, h, w]
    """

    noises: Tensor

    async def __call__(self, state: Tensor, step: Step, predict: Predict) -> Tensor:
        kept = step.clean.alpha / step.noisy.alpha
        if kept > 1:
            return await self.rule(state, step, predict)
        # Variances of independent noise add: this is what the shrunk state lacks of the noise that it has to have.
        added = (step.clean.sigma**2 - (kept * step.noisy.sigma) ** 2) ** 0.5
        return kept * state + added * self.noises[step.index]


async def hold(rule: Rule, states: Tensor, schedule: Schedule, predict: Predict) -> Offset:
    """The offsets that make `rule` pass through any `states` [N + 1, k, C, h, w]; all steps share one forward pass."""
    # As long a list as there are steps, each [k, C, h, w].
    reached = await gather(rule(state, step, predict) for state, step in zip(states[:-1], schedule, strict=True))
    return Offset(rule, states[1:] - torch.stack(reached) if reached else states[1:])


def walked_by(trajectory: Trajectory, rule: Rule, attempt: int = 0) -> Trajectory:
    """The same source and what was recorded of it, walked by another rule.

    attempt: how often the walk has begun again; a rule that draws noise then draws other, by its method `again`.

    Its latents stand for states of that rule: as its `standing(x, x0)` says where a state is more than the latent and
    the rule has such a method, else as its `begin`.
    """
    redrawn = getattr(rule, "again", None) if attempt else None
    rule = redrawn(attempt) if redrawn else rule
    picture = trajectory.states[-1, 0]  # [C, h, w]
    standing = getattr(rule, "standing", None)

    def state(x: Tensor) -> Tensor:
        return standing(x, picture) if standing else rule.begin(x)

    within = trajectory.rule
    return replace(
        trajectory,
        states=torch.stack([state(each[0]) for each in trajectory.states]),
        rule=within.around(rule) if isinstance(within, Recorded) else rule,
        start=None if trajectory.start is None else rule.begin(trajectory.start[0]),
    )
