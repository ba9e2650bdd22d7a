"""DiffEdit's mask.  Couairon et al. 2022, arXiv:2210.11427, step 1."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from retouch.api import (
    Denoiser,
    Edit,
    Latents,
    Mask,
    Moot,
    Need,
    NoiseSource,
    Prediction,
    Prompt,
    Range,
    Schedule,
    TextEncoder,
    gather,
    stage,
    together,
    unguided,
)
from retouch_methods.guide.cfg import cfg


@stage(
    "mask",
    "diffedit",
    paper="arXiv:2210.11427",
    rows="(4 if source_negative else 2) * maps",
    facts={
        "walked": "int(steps * strength + 1e-9)",
        "reads_negative": "1 if source_negative else 0",
        "empty": "threshold == 1",
    },
    instead="mask box",
    needs=(
        Need(
            "source_negative or not swapped",
            "confuses prompts with negatives where 'swapped', and has no 'source_negative'",
            'write source_negative="…", or delete swapped',
        ),
    ),
    moot=(
        Moot("clamp", "ceiling", "'ceiling' says what counts as whole"),
        Moot("scale", "not source_negative", "without 'source_negative' nothing is guided"),
    ),
)
async def diffedit(
    latents: Latents,
    edit: Edit,
    model: Denoiser,
    schedule: Schedule,
    noise: NoiseSource,
    texts: TextEncoder,
    *,
    strength: Annotated[float, Range(0, 1)] = 0.5,
    maps: Annotated[int, Range(1, 1000, "draws")] = 10,
    clamp: Annotated[float, Range(1, 100)] = 3.0,
    ceiling: Annotated[float, Range(0, 10, "standard deviations of the noise")] = 0.0,
    threshold: Annotated[float, Range(0, 1)] = 0.5,
    source_negative: str = "",
    scale: Annotated[float, Range(0, 100)] = 7.5,
    swapped: bool = False,
) -> Mask:
    """Edit where the two prompts disagree about the noise in a noised copy of the picture.

    Choose it where one thing becomes another: it is found without anyone saying where it is.  It finds what tells the
    two apart, which may be the head alone; a lower threshold or `mask dilate` takes the rest.

    strength: how noisy the copy is, as a fraction of the schedule.
    maps: noise draws to average over.
    clamp: disagreement above this multiple of its mean is cut off, so that one hot spot does not set the scale; only
        without `ceiling`.
    ceiling: disagreement that counts as whole, in standard deviations of the noise.  0 takes what `clamp` says, as
        published: then a mask is a share of the picture whatever is asked, too wide for a hat and full of islands for a
        new background.  A value of the model's own tells the two apart.
    threshold: fraction of the ceiling above which a cell is edited; lower edits more.
    source_negative: what the source prompt's prediction is led away from, where that is not the turn's negative prompt;
        then both predictions are guided, at twice the rows.  With one negative for both, guidance changes no mask.
    scale: of that guidance; 1 is none.
    swapped: lead each from its prompt towards its negative, as the pipeline in diffusers does by mistake.
    """
    level, guide = schedule.at(strength), cfg(guidance=scale) if source_negative else unguided
    away = await texts.prompt(source_negative) if source_negative else edit.negative

    async def said(x: Tensor, prompt: Prompt, negative: Prompt) -> Prediction:
        toward, frm = (negative, prompt) if swapped else (prompt, negative)
        return await guide(model, x, level, toward, frm)

    async def disagreement(eps: Tensor) -> Tensor:
        """Of the two predictions in the picture under this noise.  [C, h, w] -> [h, w]"""
        x = level.mix(latents.data, eps)  # [C, h, w]
        pred = await together(source=said(x, edit.source, away), target=said(x, edit.target, edit.negative))
        return (level.said(pred["target"]) - level.said(pred["source"])).abs().mean(dim=0)

    draws = noise.normal(maps, like=latents.data)  # [maps, C, h, w]
    heat = torch.stack(await gather(disagreement(eps) for eps in draws)).mean(dim=0)  # [h, w]
    whole = ceiling or clamp * heat.mean()  # []
    return Mask.of_cells((heat.clamp(max=whole) > threshold * whole).to(heat), latents)
