"""EDICT, exact inversion via coupled transformations.  Wallace et al. 2022, arXiv:2211.12446, eq. 12-15."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from retouch.api import (
    Denoiser,
    Guidance,
    Latents,
    Need,
    NegativePrompt,
    Predict,
    Range,
    Schedule,
    SourcePrompt,
    Step,
    Trajectory,
    predictor,
    stage,
    storable,
)

# Un-mixing multiplies rounding errors by 1 / mix each step: e**15 of it leaves nine digits of float64's sixteen.
FLOAT64_HOLDS = Need(
    "-log(mix) * int(steps * strength + 1e-9) <= 15",
    "uses up float64 in {int(steps * strength + 1e-9)} steps at mix={mix}",
    "write steps={int(15 / -log(mix) / strength)}, or a higher mix",
)


@storable
@dataclass(frozen=True, slots=True)
class Edict:
    """Two latents, each moved along the noise seen at the other, then mixed.  Wallace et al. 2022, eq. 12-15.

    Its state is [2, C, h, w].  Un-mixing multiplies rounding errors by mix**-steps: above about 15 in
    steps * -log(mix) float64 is used up.
    """

    mix: float = 0.93

    def begin(self, x: Tensor) -> Tensor:
        """Two equal latents, in float64.  [C, h, w] -> [2, C, h, w]"""
        return torch.stack((x, x)).double()

    async def __call__(self, state: Tensor, step: Step, predict: Predict) -> Tensor:
        pair = list(state)  # [C, h, w] each
        for moved, seen in self._turns(step):
            pred = await predict(pair[seen], step.noisy)
            pair[moved] = step.carry(pair[moved], pred)
        x = self.mix * pair[0] + (1 - self.mix) * pair[1]
        return torch.stack((x, (1 - self.mix) * x + self.mix * pair[1]))

    async def undo(self, state: Tensor, step: Step, predict: Predict) -> Tensor:
        """The state that this rule would have moved here: the exact inverse of a step.  [2, C, h, w]"""
        y = (state[1] - (1 - self.mix) * state[0]) / self.mix  # [C, h, w]
        pair = [(state[0] - (1 - self.mix) * y) / self.mix, y]
        for moved, seen in reversed(self._turns(step)):
            pred = await predict(pair[seen], step.noisy)
            pair[moved] = step.uncarry(pair[moved], pred)
        return torch.stack(pair)

    @staticmethod
    def _turns(step: Step) -> tuple[tuple[int, int], tuple[int, int]]:
        """(moved, seen), in order; who goes first alternates, so that neither lags."""
        return ((0, 1), (1, 0)) if step.index % 2 == 0 else ((1, 0), (0, 1))


@stage(
    "invert",
    "edict",
    paper="arXiv:2211.12446",
    rows="2 * guide * int(steps * strength + 1e-9)",
    facts={"steps": "int(steps * strength + 1e-9)", "evaluations": 2, "pinned": True},
    needs=(FLOAT64_HOLDS,),
)
async def edict(
    latents: Latents,
    prompt: SourcePrompt,
    negative: NegativePrompt,
    model: Denoiser,
    schedule: Schedule,
    guidance: Guidance,
    *,
    mix: Annotated[float, Range(0.85, 1)] = 0.93,
    strength: Annotated[float, Range(0, 1)] = 0.8,
) -> Trajectory:
    """Undo a sampler of two coupled latents, step by step and exactly, under the guidance of the edit itself.

    Choose it where the source must come back to the last bit under strong guidance and no mask can say where; it
    costs twice DDIM, and its latents are float64 because un-mixing multiplies rounding errors by 1 / mix each step.

    mix: how much each latent keeps of itself when the two are averaged; at 1 they are never drawn together and part
        ways, lower ones stay closer and allow fewer steps.
    strength: how far to walk, as a fraction of the schedule; the edit begins there.
    """
    walk, rule = schedule.tail(strength), Edict(mix)
    predict = predictor(guidance, model, prompt, negative)
    states = [rule.begin(latents.data)]  # [2, C, h, w] each, cleanest first
    for step in walk.ascending():
        states.append(await rule.undo(states[-1], step, predict))
    return Trajectory(walk, torch.stack(states[::-1]), rule, pinned=True)
