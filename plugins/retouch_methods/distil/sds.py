"""Score distillation sampling.  Poole et al. 2022, "DreamFusion", arXiv:2209.14988, eq. 3.

Levels that fall instead of being drawn: Huang et al. 2023, "DreamTime", arXiv:2306.12422.  The weight under which a
step leads to the predicted picture: Zhu and Zhuang 2023, "HiFA", arXiv:2305.18766.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

import torch
from torch import Tensor

from retouch.api import (
    Denoiser,
    Edit,
    Guidance,
    Latents,
    Level,
    Mask,
    Need,
    NoiseSource,
    Prediction,
    Range,
    Schedule,
    gather,
    predictor,
    stage,
)
from retouch_methods.distil.descent import Descent, drawn, falling, several


@stage(
    "distil",
    "sds",
    paper="arXiv:2209.14988",
    facts={"idle": "rate == 0"},
    rows="(0 if mask else guide * rounds * draws, guide * rounds * draws)",
    needs=(Need("low < high", "has no levels from low={low} to high={high}", "write low=2% high=98%"),),
)
async def sds(
    latents: Latents,
    edit: Edit,
    model: Denoiser,
    schedule: Schedule,
    guidance: Guidance,
    noise: NoiseSource,
    mask: Mask | None = None,
    *,
    rounds: Annotated[int, Range(1, 10000, "rounds")] = 200,
    rate: Annotated[float, Range(0, 10)] = 0.0488,
    optimizer: Literal["sgd", "adam"] = "sgd",
    weight: Literal["sigma2", "one", "x0"] = "sigma2",
    levels: Literal["drawn", "falling"] = "drawn",
    draws: Annotated[int, Range(1, 1000, "draws")] = 1,
    share: Annotated[float, Range(0.01, 1)] = 1.0,
    low: Annotated[float, Range(0, 1)] = 0.02,
    high: Annotated[float, Range(0, 1)] = 0.98,
) -> Latents:
    """Move the latents to where the denoiser finds the target prompt likely, whatever the picture was.

    Choose it to compare with: what it says of an unedited picture is no zero, so all of the picture blurs and its
    colours grow, which is what `distil dds` takes away.  The paper guides at 100.

    Or choose it under a mask to put something where there is nothing: `weight="x0" rate=1 levels="falling"` goes to the
    mean picture of several `draws` at one level after the other, without guidance, and `share` holds it to the picture.

    rounds: gradient steps.
    rate: length of a step; the authors of DDS, who compare with this on pictures, take 0.0488 of the difference.
    optimizer: "sgd", as there; "adam" makes every cell move by about `rate`, in units of latents.
    weight: of a level: "sigma2" is its variance, as in the paper; "one" is what the authors of DDS take; "x0"
        takes the way to the predicted picture in place of noise, as HiFA does, so that `rate=1` arrives there.
    levels: "drawn" takes any in any order, as the paper; "falling" goes from the noisiest to the cleanest, evenly, as
        DreamTime.
    draws: of noise in each round, whose mean is taken.
    share: of the mask's cells, how many may differ from the picture: those around which most has changed; the others
        are put back after each round.
    low: the cleanest level that is taken, as a share of the steps.
    high: the noisiest level that is taken, as a share of the steps.
    """
    descent = Descent(latents, mask, optimizer, rate, share)
    if await descent.idle():
        return latents
    predict = predictor(guidance, model, edit.target, edit.negative)
    steps = falling(schedule, rounds, low, high) if levels == "falling" else drawn(schedule, rounds, low, high, noise)
    for i, step in enumerate(steps):
        level = step.noisy

        async def pull(eps: Tensor, level: Level = level) -> Tensor:
            """Where this noise says that the picture comes from.  [C, h, w]"""
            pred = await predict(level.mix(descent.x, eps), level)
            if weight == "x0":
                return descent.x - pred.x0
            # Eq. 3 there: the network's own Jacobian is left out, so nothing is differentiated.
            grad = level.said(pred) - level.said(Prediction(torch.stack((descent.x, eps))))
            return grad * level.sigma**2 if weight == "sigma2" else grad

        pulls = await gather(pull(eps) for eps in several(noise, i, draws, latents.data))
        descent.step(pulls[0] if draws == 1 else torch.stack(pulls).mean(0))
    return replace(latents, data=descent.x)
