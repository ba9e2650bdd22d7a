"""LEDITS++: semantic guidance with implicit masks.  Brack et al. 2023, arXiv:2311.16711, sec. 3."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from retouch.api import (
    Asking,
    AttentionMaps,
    Edit,
    Guidance,
    Level,
    Moot,
    Need,
    Prediction,
    Prompt,
    Range,
    TextEncoder,
    Touch,
    gather,
    reflected,
    stage,
    together,
    upload,
)


@stage(
    "guide",
    "semantic",
    paper="arXiv:2311.16711",
    reads=(Touch("cross", "read", "maps", "*", scale=("scale", "scale"), when=("mask", "both", "attention")),),
    facts={
        "guide": "(2 if base == 'source' else 1) + max(1, len(add) + len(remove))",
        "unprompted": "1 if add or remove else 0",
        "during": "(start, until)",
        "idle": "guidance == 0",
    },
    needs=(Need("all(add) and all(remove)", "is given a concept without a word", "name each, or leave it out"),),
    moot=(
        Moot("scale", "mask == 'none' or mask == 'noise'", "without attention's mask no maps are read"),
        Moot("scale", "quantile == 0", "'quantile' says that all of the picture is guided"),
        Moot("early", "quantile == 0", "'quantile' says that all of the picture is guided"),
        Moot("quantile", "mask == 'none'", "without a mask it guides everywhere"),
        Moot("early", "mask != 'both'", "it is about the two masks together"),
    ),
)
async def semantic(
    edit: Edit,
    texts: TextEncoder,
    *,
    guidance: Annotated[float, Range(0, 100)] = 5.0,
    add: tuple[str, ...] = (),
    remove: tuple[str, ...] = (),
    base: Literal["empty", "source"] = "empty",
    quantile: Annotated[float, Range(0, 1)] = 0.9,
    mask: Literal["both", "attention", "noise", "none"] = "both",
    scale: Annotated[int, Range(1, 64, "cells")] = 4,
    early: Annotated[int, Range(0, 1000, "timesteps")] = 800,
    start: Annotated[float, Range(0, 1)] = 0.0,
    until: Annotated[float, Range(0, 1)] = 1.0,
) -> Guidance:
    """Lead away from the picture as it was by one concept or several, each only where it belongs.

    Choose it to add or remove several things at once, after edit_friendly: nothing is described but the change, and
    each change finds its own place.  The place is where the concept's words attend the most and its guidance is the
    strongest.  The source branch is left unguided; it asks for the same rows, so that a control finds its partners;
    what tells it apart is its prompt, so a turn with this guidance wants an edit.

    guidance: scale of every concept.
    add: concepts to bring in; with none to add or remove, the turn's target prompt is the concept.
    remove: concepts to lead away from.
    base: what the concepts are added to, which is to be what the inversion recorded with: "empty" is LEDITS++'s
        prediction without a prompt, "source" the one of the source's, as SEGA has it (arXiv:2301.12247).
    quantile: share of the picture that a concept leaves alone, in each of its two masks.
    mask: "both" guides where both masks do, "attention" and "noise" where one does, "none" everywhere.
    scale: latent cells per token side of the maps that are read; the paper's are 4, a quarter of the resolution.
    early: timestep above which "both" trusts attention alone, since the guidance of noise has no place yet.
    start, until: fractions of the steps that are taken, between which the concepts guide.
    """
    prompts: list[Prompt] = list(await gather(texts.prompt(text) for text in (*add, *remove)))
    signs = [1.0] * len(add) + [-1.0] * len(remove)
    kernel = upload(_KERNEL, edit.source.embeds.device)  # [1, 1, 3, 3]
    touch = Touch("cross", "read", "maps", "*", scale=(scale, scale))

    async def guide(model: Asking, x: Tensor, level: Level, prompt: Prompt, negative: Prompt) -> Prediction:
        concepts = prompts or [prompt]
        # The first concept stands where the prompt's row does.
        asked = {
            f"concept{i}": model(x, level, each, role="cond" if i == 0 else f"cond{i}")
            for i, each in enumerate(concepts)
        }
        asked["uncond"] = model(x, level, negative, role="uncond")
        if base == "source":
            asked["base"] = model(x, level, edit.source, role="base")
        pred = await together(attention=(), record=[touch], step=None, **asked)
        unedited, uncond = pred["base" if base == "source" else "uncond"], level.said(pred["uncond"])
        of_source = prompt.text == edit.source.text and prompt is not edit.target  # what is learnt has one text
        if of_source or not start <= level.progress < until:
            return unedited
        said = level.said(unedited)
        for i, (concept, sign) in enumerate(zip(concepts, signs or [1.0], strict=True)):
            delta = sign * guidance * (level.said(pred[f"concept{i}"]) - uncond)
            for where in masks(pred.maps[0], i, concept, delta, level):
                delta = delta * where
            said = said + delta
        return level.heard(x, said)

    def masks(maps: AttentionMaps, i: int, concept: Prompt, delta: Tensor, level: Level) -> Iterator[Tensor]:
        """Where a concept guides by delta [C, h, w].  Each [h, w], 1 or 0"""
        if mask in ("both", "attention"):
            yield attended(maps, i, concept, delta.shape[-2:])
        if mask == "noise" or (mask == "both" and level.timestep <= early):
            strength = delta.abs().sum(0)  # [h, w]
            yield (strength >= torch.quantile(strength.flatten().float(), quantile)).to(delta)

    def attended(maps: AttentionMaps, i: int, concept: Prompt, size: Sequence[int]) -> Tensor:
        """Where the concept's words attend the most, on the cells of the latents.  [h, w]"""
        if not maps.count:
            raise ValueError(f"this model has no cross-attention at scale={scale}")
        words = [k for k, (a, b) in enumerate(concept.spans) if a < b]
        total = next(each for role, each in maps.sums.items() if f"concept{i}" in role)  # [queries, keys]
        seen = torch.stack([total[:, k] for k in words], -1).sum(-1) / maps.count  # [queries]
        grid = seen.unflatten(0, (size[0] // scale, size[1] // scale))[None, None]  # [1, 1, h / scale, w / scale]
        smooth = F.conv2d(reflected(grid, 1), kernel.to(grid))
        chosen = (smooth >= torch.quantile(smooth.flatten().float(), quantile)).to(grid)
        return F.interpolate(chosen, tuple(size))[0, 0]

    return guide


_TAPS = torch.exp(-torch.tensor([-1.0, 0.0, 1.0]).square())  # [3], a Gaussian as the authors' code has it
_KERNEL = (_TAPS[:, None] * _TAPS / _TAPS.sum().square())[None, None]  # [1, 1, 3, 3]
