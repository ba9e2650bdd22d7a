"""RF-Inversion: an ODE that is steered to a noise on the way up, and to the picture on the way down.

Rout et al. 2024, arXiv:2410.10792, alg. 1 and 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor

from retouch.api import (
    Ddim,
    Denoiser,
    Latents,
    Level,
    Moot,
    NegativePrompt,
    NoiseSource,
    Predict,
    Prediction,
    Prompt,
    Range,
    Rule,
    Schedule,
    SourcePrompt,
    Step,
    Trajectory,
    predictor,
    stage,
    storable,
    unguided,
)
from retouch_methods.guide.distilled import GUIDANCE, distilled
from retouch_methods.invert.ddim import PINNED


@storable
@dataclass(frozen=True, slots=True, eq=False)
class Steered:
    """A rule whose velocity is drawn to the one that leads straight to a picture.

    picture: Tensor  # [C, h, w]
    share: 0 leaves the velocity, 1 replaces it
    start, until: fractions of the steps between which it is drawn
    """

    rule: Rule
    picture: Tensor
    share: float
    start: float
    until: float

    def begin(self, x: Tensor) -> Tensor:
        """As the rule within.  [C, h, w] -> [k, C, h, w]"""
        return self.rule.begin(x)

    async def __call__(self, state: Tensor, step: Step, predict: Predict) -> Tensor:
        async def drawn(
            x: Tensor, level: Level, *, prompt: Prompt | None = None, negative: Prompt | None = None
        ) -> Prediction:
            pred = await predict(x, level, prompt=prompt, negative=negative)
            # The velocity of the straight line that ends at the picture: what pulls there.  [C, h, w]
            straight = (x - self.picture.to(x)) / level.sigma
            return level.along(x, torch.lerp(pred.velocity, straight, self.share))

        return await self.rule(state, step, drawn if self.start <= step.progress < self.until else predict)


@stage(
    "invert",
    "rf_inversion",
    paper="arXiv:2410.10792",
    moot=(
        Moot("start", "eta == 0", "'eta' says that nothing leads to the picture"),
        Moot("until", "eta == 0", "'eta' says that nothing leads to the picture"),
    ),
    rows="steps",
    facts={
        "evaluations": 1,
        "pinned": "pinned != 'never'",
        "unheard": "eta == 1 and start == 0 and until * steps > steps - 1",
    },
    predicts=("flow",),
    instead="invert sdedit",
)
async def rf_inversion(
    latents: Latents,
    prompt: SourcePrompt,
    negative: NegativePrompt,
    model: Denoiser,
    schedule: Schedule,
    noise: NoiseSource,
    *,
    gamma: Annotated[float, Range(0, 1)] = 0.5,
    eta: Annotated[float, Range(0, 1)] = 0.9,
    start: Annotated[float, Range(0, 1)] = 0.0,
    until: Annotated[float, Range(0, 1)] = 0.25,
    words: Literal["none", "source"] = "none",
    pinned: Literal["auto", "always", "never"] = "auto",
) -> Trajectory:
    """Walk up a flow towards a drawn noise, and begin the edit by a walk towards the picture.

    Choose it where the edit is strong, a style or a face, and the picture is to shine through: the noise is near what
    the model expects, and how much of the picture is left is a number.  Nothing comes back exactly; other seeds give
    other edits.

    gamma: how far the way up is drawn to the noise; 0 is plain inversion, 1 ends at the noise itself.
    eta: how far the edit is drawn to the picture while it is; at 1 it walks there straight.
    start, until: fractions of the steps that are taken, between which the edit is drawn to the picture.
    words: what the walk up is told: "none" the negative prompt, which is empty unless given, as the paper has it;
        "source" the caption.
    pinned: whether the source is replayed from these latents, or sampled again and may drift.  "auto" replays it where
        only a blend reads it and samples it where a control sees it; "always" puts it back at every step, "never" lets
        it drift under a blend as well.
    """
    (goal,) = noise.normal(1, like=latents.data)
    # A model that is told its guidance is told 0 on the way up, as the authors' pipeline has it.
    guidance = distilled(guidance=0.0) if GUIDANCE in model.told else unguided
    predict = predictor(guidance, model, prompt if words == "source" else negative, negative)
    x, path = latents.data, [latents.data]
    for step in schedule.ascending():
        pred = await predict(x, step.clean)
        straight = (goal - x) / step.clean.alpha
        x = step.uncarry(x, step.clean.along(x, torch.lerp(pred.velocity, straight, gamma)))
        path.append(x)
    rule = Steered(Ddim(), latents.data, eta, start, until)
    return Trajectory(schedule, torch.stack(path[::-1])[:, None], rule, PINNED[pinned])
