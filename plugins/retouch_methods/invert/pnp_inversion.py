"""PnP Inversion, first called Direct Inversion.  Ju et al. 2023, arXiv:2310.01506, alg. 1."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

import torch

from retouch.api import (
    Ddim,
    Denoiser,
    Guidance,
    Latents,
    NegativePrompt,
    Offset,
    Range,
    Schedule,
    SourcePrompt,
    Trajectory,
    predictor,
    stage,
)
from retouch_methods.invert.ddim import ddim


@stage(
    "invert",
    "pnp_inversion",
    paper="arXiv:2310.01506",
    rows="steps * (1 if scale == 1 and every == 1 and edited == 'free' else 1 + guide)",
    facts={"evaluations": 1, "pinned": True, "replays": "'any' if edited == 'free' else ''"},
)
async def pnp_inversion(
    latents: Latents,
    prompt: SourcePrompt,
    negative: NegativePrompt,
    model: Denoiser,
    schedule: Schedule,
    guidance: Guidance,
    *,
    scale: Annotated[float, Range(0, 1)] = 1.0,
    every: Annotated[int, Range(1, 1000, "steps")] = 1,
    edited: Literal["free", "offset"] = "free",
) -> Trajectory:
    """Put the source row back onto DDIM's latents after every step, and leave the edited row alone.

    Choose it under an attention control, which then reads a source that is exactly the picture, at DDIM's own price.
    Without one it is plain DDIM: nothing carries the source over to the edit, and a blend alone replays DDIM's as well.

    scale: the share of the offset by which the source row is put back; 1 is all, lower is the paper's ablation.
    every: put it back at each such step only; 1 is at all of them.
    edited: "free" adds no offset to the edited row; "offset" adds the source's, as the authors' code does for
        pix2pix-zero, which has one row: the edit then returns to the source where nothing is to change.
    """
    pivot = await ddim(latents, prompt, negative, model, schedule)
    if scale == 1 and every == 1 and edited == "free":
        return replace(pivot, pinned=True)
    rule, predict = Ddim(), predictor(guidance, model, prompt, negative)
    states, offsets = [pivot.states[0]], []  # [1, C, h, w] each
    for step, goal in zip(schedule, pivot.states[1:], strict=True):
        reached = await rule(states[-1], step, predict)
        offsets.append((scale if step.index % every == 0 else 0) * (goal - reached))
        states.append(reached + offsets[-1])
    walk = Offset(rule, torch.stack(offsets)) if edited == "offset" else rule
    return Trajectory(schedule, torch.stack(states), walk, pinned=True)
