"""Proximal guidance, the half of ProxEdit that negative-prompt inversion lacks.  Han et al. 2023, arXiv:2306.05414."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from retouch.api import (
    Asking,
    Denoiser,
    Guidance,
    Latents,
    Level,
    Moot,
    Prediction,
    Prompt,
    Range,
    Schedule,
    SourcePrompt,
    Step,
    stage,
    together,
)
from retouch_methods.guide.inverted import inverted


@stage(
    "guide",
    "proximal",
    paper="arXiv:2306.05414",
    version=2,
    rows="steps if pull and pull_to == 'inversion' else 0",
    facts={"guide": 2, "unheard": "guidance == 0 or quantile == 1"},
    words="needed",
    moot=(
        Moot("pull_to", "pull == 0", "'pull' says that nothing is drawn there"),
        Moot("pull_below", "pull == 0", "'pull' says that nothing is drawn there"),
        Moot("dilate", "pull == 0", "'pull' says that nothing is drawn there"),
    ),
)
async def proximal(
    latents: Latents,
    source: SourcePrompt,
    model: Denoiser,
    schedule: Schedule,
    *,
    guidance: Annotated[float, Range(0, 100)] = 7.5,
    norm: Literal["l0", "l1", "l1_official"] = "l0",
    quantile: Annotated[float, Range(0, 1)] = 0.7,
    over: Literal["row", "pair"] = "row",
    pull: Annotated[float, Range(0, 1)] = 0.0,
    pull_to: Literal["picture", "inversion"] = "picture",
    pull_below: Annotated[int, Range(0, 1000, "timesteps")] = 400,
    dilate: Annotated[int, Range(0, 64, "cells")] = 1,
) -> Guidance:
    """Guide only where the two prompts disagree the most, so that the rest of the picture is left alone.

    Choose it with `invert negative_prompt`, whose source row then has no guidance at all; the higher the quantile, the
    smaller the edit and the steadier the background.

    guidance: scale of what is left of the difference; 0 is the negative prompt alone.
    norm: "l0" drops differences below the threshold and keeps the others whole; "l1" lowers them all by it, which the
        authors' code calls l0; "l1_official" lowers them twice, as what it calls l1, which turns small falls to rises.
    quantile: share of a prediction's values that lies below the threshold.
    over: "row" takes the quantile of this prediction; "pair" counts an unedited row of zeros beside it, as the
        authors' batch of source and target does.
    pull: how far the edit is drawn to the source where nothing is guided; 0 not at all.
    pull_to: "picture" draws the predicted picture to the source, which is reconstruction guidance; "inversion" draws
        the latents to those of the DDIM inversion, after each step, which is inversion guidance and costs a walk more.
    pull_below: timestep below which it is drawn there.
    dilate: cells by which the guided area grows before the rest is drawn there.
    """
    known: dict[float, Prediction] = {}
    if pull and pull_to == "inversion":
        states = await inverted(model, latents.data, source, schedule)  # [N + 1, C, h, w]
        for step, x, reached in zip(schedule, states[:-1], states[1:], strict=True):
            known[step.noisy.timestep] = leading(step, x, reached)

    async def guide(model: Asking, x: Tensor, level: Level, prompt: Prompt, negative: Prompt) -> Prediction:
        pred = await together(uncond=model(x, level, negative, role="uncond"), cond=model(x, level, prompt))
        delta = level.said(pred["cond"]) - level.said(pred["uncond"])
        beside = torch.zeros_like(delta) if over == "pair" else delta[:0]
        sizes = torch.cat((delta, beside)).abs().flatten().to(torch.promote_types(delta.dtype, torch.float32))
        threshold = torch.quantile(sizes, quantile).to(delta)
        kept = shrunk(delta, threshold, norm)
        guided = level.heard(x, level.said(pred["uncond"]) + guidance * kept)
        if not pull or level.timestep >= pull_below:
            return guided
        edited = kept != 0 if norm == "l0" else kept.abs() > threshold  # [C, h, w], bool
        rest = pull * (1 - F.max_pool2d(edited.to(x), 2 * dilate + 1, 1, dilate))  # [C, h, w]
        if pull_to == "picture":
            return Prediction(torch.stack((torch.lerp(guided.x0, latents.data.to(x), rest), guided.eps)))
        if level.timestep not in known:
            return guided
        # A step is linear in its prediction, so that mixing predictions mixes the latents that it reaches.
        return Prediction(torch.lerp(guided.pair, known[level.timestep].pair.to(x), rest))

    return guide


def leading(step: Step, x: Tensor, reached: Tensor) -> Prediction:
    """The prediction by which DDIM's step leads from one latent to another.  [C, h, w]"""
    if step.noisy.flow:
        return step.noisy.along(x, (reached - x) / (step.clean.sigma - step.noisy.sigma))
    if not step.noisy.alpha:
        return step.noisy.heard(x, (step.clean.sigma * x - reached) / step.clean.alpha)
    kept = step.clean.alpha / step.noisy.alpha
    return step.noisy.seen_as(x, (reached - kept * x) / (step.clean.sigma - kept * step.noisy.sigma))


def shrunk(delta: Tensor, threshold: Tensor, norm: str) -> Tensor:
    """The proximal operator of a norm; eq. 6 of the paper.  [C, h, w] and a threshold [] -> [C, h, w]"""
    if norm == "l0":
        return torch.where(delta.abs() > threshold, delta, torch.zeros_like(delta))
    once = delta - delta.clamp(-threshold, threshold)
    if norm == "l1":
        return once
    twice = torch.where(once > 0, once - threshold, once)
    return torch.where(twice < 0, twice + threshold, twice)
