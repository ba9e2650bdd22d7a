"""Score distillation sampling.  Poole et al. 2022, "DreamFusion", arXiv:2209.14988, eq. 3."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

import torch

from retouch.api import (
    Denoiser,
    Edit,
    Guidance,
    Latents,
    Mask,
    Need,
    NoiseSource,
    Prediction,
    Range,
    Schedule,
    predictor,
    stage,
)
from retouch_methods.distil.descent import Descent, drawn, fresh


@stage(
    "distil",
    "sds",
    paper="arXiv:2209.14988",
    rows="(0 if mask else guide * rounds, guide * rounds)",
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
    weight: Literal["sigma2", "one"] = "sigma2",
    low: Annotated[float, Range(0, 1)] = 0.02,
    high: Annotated[float, Range(0, 1)] = 0.98,
) -> Latents:
    """Move the latents to where the denoiser finds the target prompt likely, whatever the picture was.

    Choose it to compare with: what it says of an unedited picture is no zero, so all of the picture blurs and its
    colours grow, which is what `distil dds` takes away.  The paper guides at 100.

    rounds: gradient steps.
    rate: length of a step; the authors of DDS, who compare with this on pictures, take 0.0488 of the difference.
    optimizer: "sgd", as there; "adam" makes every cell move by about `rate`, in units of latents.
    weight: of a level: "sigma2" is its variance, as in the paper; "one" is what the authors of DDS take.
    low: the cleanest level that is drawn, as a share of the steps.
    high: the noisiest level that is drawn, as a share of the steps.
    """
    descent = Descent(latents, mask, optimizer, rate)
    if await descent.idle():
        return latents
    predict = predictor(guidance, model, edit.target, edit.negative)
    for i, step in enumerate(drawn(schedule, rounds, low, high, noise)):
        level, eps = step.noisy, fresh(noise, i, latents.data)
        pred = await predict(level.mix(descent.x, eps), level)
        true = Prediction(torch.stack((descent.x, eps)))
        # Eq. 3 there: the network's own Jacobian is left out, so nothing is differentiated.
        grad = level.said(pred) - level.said(true)
        descent.step(grad * level.sigma**2 if weight == "sigma2" else grad)
    return replace(latents, data=descent.x)
