"""Delta denoising score.  Hertz et al. 2023, arXiv:2304.07090, eq. 3."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from retouch.api import (
    Denoiser,
    Edit,
    Guidance,
    Latents,
    Mask,
    Need,
    NoiseSource,
    Range,
    Schedule,
    SourceLatents,
    predictor,
    stage,
    together,
)
from retouch_methods.distil.descent import Descent, drawn, fresh


@stage(
    "distil",
    "dds",
    paper="arXiv:2304.07090",
    facts={"idle": "rate == 0"},
    rows="(0 if mask else 2 * guide * rounds, 2 * guide * rounds)",
    needs=(Need("low < high", "has no levels from low={low} to high={high}", "write low=5% high=95%"),),
)
async def dds(
    latents: Latents,
    source: SourceLatents,
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
    low: Annotated[float, Range(0, 1)] = 0.05,
    high: Annotated[float, Range(0, 1)] = 0.95,
) -> Latents:
    """Move the latents by what the two prompts disagree about, at one noise level after the other.

    Choose it where the thing changes what it is or its colour, and everything else is to stay: source and edit are
    noised alike, so that what the denoiser says of both cancels.  It adds nothing that the picture gives no hint of.
    What is noised as the source is the picture that the turn began with, even where the edit begins at another.

    Levels are those of the turn's schedule; the authors draw from all that were trained, which are steps=999.

    rounds: gradient steps.
    rate: length of a step.  The authors' 0.1, times 2,000, over 64 by 64 cells, is 0.0488 of the difference.
    optimizer: "sgd", as the authors; "adam" makes every cell move by about `rate`, in units of latents.
    low: the cleanest level that is drawn, as a share of the steps.
    high: the noisiest level that is drawn, as a share of the steps.
    """
    descent = Descent(latents, mask, optimizer, rate)
    if await descent.idle():
        return latents
    was = predictor(guidance, model, edit.source, edit.negative)
    now = predictor(guidance, model, edit.target, edit.negative)
    for i, step in enumerate(drawn(schedule, rounds, low, high, noise)):
        level, eps = step.noisy, fresh(noise, i, latents.data)
        # One level and one noise for both: what the denoiser is wrong about in either is nearly the same, and cancels.
        pred = await together(
            source=was(level.mix(source.data, eps), level),
            target=now(level.mix(descent.x, eps), level),
        )
        descent.step(level.said(pred["target"]) - level.said(pred["source"]))
    return replace(latents, data=descent.x)
