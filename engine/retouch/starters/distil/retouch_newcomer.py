"""A distillation: latents that follow what two prompts disagree about, without a walk."""

from dataclasses import replace
from typing import Annotated

import torch

from retouch.api import (
    Denoiser,
    Edit,
    Guidance,
    Latents,
    Mask,
    NoiseSource,
    Range,
    Schedule,
    SourceLatents,
    hookimpl,
    predictor,
    stage,
    together,
)


@stage("distil", "newcomer", rows="2 * guide * rounds", facts={"idle": "rate == 0"})
async def newcomer(
    latents: Latents,
    source: SourceLatents,
    edit: Edit,
    model: Denoiser,
    schedule: Schedule,
    guidance: Guidance,
    noise: NoiseSource,
    mask: Mask | None = None,
    *,
    rounds: Annotated[int, Range(1, 1000, "rounds")] = 50,
    rate: Annotated[float, Range(0, 10)] = 0.05,
) -> Latents:
    """Move the latents by the difference of both predictions, from the noisiest level to the cleanest.

    rounds: gradient steps.
    rate: length of a step; 0 changes nothing.
    """
    was = predictor(guidance, model, edit.source, edit.negative)
    now = predictor(guidance, model, edit.target, edit.negative)
    area = None if mask is None else mask.on(latents).to(latents.data)  # [h, w]
    x, draws = latents.data, noise.normal(rounds, like=latents.data)  # [C, h, w], [rounds, C, h, w]
    for i, eps in enumerate(draws):
        level = schedule.steps[i * len(schedule) // rounds].noisy
        # One noise for both: what the denoiser is wrong about in either cancels.
        pred = await together(source=was(level.mix(source.data, eps), level), target=now(level.mix(x, eps), level))
        moved = x - rate * (level.said(pred["target"]) - level.said(pred["source"]))
        x = moved if area is None else torch.where(area > 0, torch.lerp(x, moved, area), x)
    return replace(latents, data=x)


@hookimpl
def retouch_stages():
    """What this distribution adds."""
    return [newcomer]
