"""Posterior distillation sampling.  Koo et al. 2024, arXiv:2311.13831, eq. 9-11.

The stochastic latent of a step from t to s is zeta = (x_s - mu(x_t)) / sigma, where mu and sigma are those of the
posterior q(x_s | x_t, x0) at the predicted x0: what `invert edit_friendly` records.  The edit's is drawn to the
source's.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from torch import Tensor

from retouch.api import (
    Denoiser,
    Edit,
    Guidance,
    Latents,
    Mask,
    Need,
    NoiseSource,
    Predict,
    Range,
    Schedule,
    SourceLatents,
    Step,
    predictor,
    stage,
    together,
)
from retouch_methods.distil.descent import Descent, drawn, fresh


@stage(
    "distil",
    "pds",
    paper="arXiv:2311.13831",
    facts={"idle": "rate == 0"},
    rows="(0 if mask else 2 * guide * rounds, 2 * guide * rounds)",
    needs=(
        Need("low < high", "has no levels from low={low} to high={high}", "write low=2% high=98%"),
        Need("steps > 1", "needs a step that ends above the picture, and this walk has one step", "write steps=50"),
    ),
)
async def pds(
    latents: Latents,
    source: SourceLatents,
    edit: Edit,
    model: Denoiser,
    schedule: Schedule,
    guidance: Guidance,
    noise: NoiseSource,
    mask: Mask | None = None,
    *,
    rounds: Annotated[int, Range(1, 10000, "rounds")] = 500,
    rate: Annotated[float, Range(0, 10)] = 0.1,
    optimizer: Literal["sgd", "adam"] = "adam",
    low: Annotated[float, Range(0, 1)] = 0.02,
    high: Annotated[float, Range(0, 1)] = 0.98,
) -> Latents:
    """Move the latents until the noise of their steps is the source's, under the other prompt.

    Choose it where `distil dds` washes out what the picture is: beside what the prompts disagree about it holds the
    latents to the source's own.  The authors guide at 50 on pictures and at 100 in fields.

    Levels are the steps of the turn's schedule, each to the next; the authors' are steps=500, where they take the noise
    of one trained step for that of two.  Here a step has its own.

    rounds: gradient steps.
    rate: length of a step, in units of latents.
    optimizer: "adam" makes every cell move by about `rate`; "sgd" takes `rate` times the gradient.
    low: the cleanest level that is drawn, as a share of the steps.
    high: the noisiest level that is drawn, as a share of the steps.
    """
    descent = Descent(latents, mask, optimizer, rate)
    if await descent.idle():
        return latents
    was = predictor(guidance, model, edit.source, edit.negative)
    now = predictor(guidance, model, edit.target, edit.negative)
    for i, step in enumerate(drawn(schedule, rounds, low, high, noise)):
        # Source and target share both noises: then what differs in zeta is the prompts' doing, and the picture's.
        eps, after = fresh(noise, 2 * i, latents.data), fresh(noise, 2 * i + 1, latents.data)
        zeta = await together(
            source=_zeta(source.data, was, step, eps, after),
            target=_zeta(descent.x, now, step, eps, after),
        )
        descent.step(zeta["target"] - zeta["source"])
    return replace(latents, data=descent.x)


async def _zeta(x0: Tensor, predict: Predict, step: Step, eps: Tensor, after: Tensor) -> Tensor:
    """The stochastic latent of a step of this picture.  All [C, h, w]"""
    pred = await predict(step.noisy.mix(x0, eps), step.noisy)
    # A DDPM step, clean = mean + fresh * zeta, solved for its noise.
    return (step.clean.mix(x0, after) - step.mean(pred.x0, pred.eps, 1.0)) / step.fresh(1.0)
