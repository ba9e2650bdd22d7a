"""Where the words of the caption are in the picture.  Cross-attention averaged over steps and sites, as Tang et al.
2022, arXiv:2210.04885 (DAAM), eq. 5-6, and with a threshold as in Hertz et al. 2022, arXiv:2208.01626.
"""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional as F

from retouch.api import (
    AttentionMaps,
    Denoiser,
    Latents,
    Mask,
    Need,
    NoiseSource,
    Range,
    Schedule,
    SourcePrompt,
    Step,
    Touch,
    WordsOf,
    gather,
    stage,
    together,
)


@stage(
    "mask",
    "attention",
    paper="arXiv:2210.04885",
    reads=(Touch("cross", "read", "maps", scale=(1, "coarsest")),),
    rows="min(levels, steps)",
    facts={"empty": "threshold == 1"},
    needs=(Need("len(words) > 0", "is given no word to look for", 'name one: words=["cat"]'),),
    instead="mask box",
)
async def attention(
    latents: Latents,
    prompt: SourcePrompt,
    model: Denoiser,
    schedule: Schedule,
    noise: NoiseSource,
    *,
    words: tuple[Annotated[str, WordsOf("source")], ...],
    levels: Annotated[int, Range(1, 1000, "steps")] = 10,
    threshold: Annotated[float, Range(0, 1)] = 0.3,
    coarsest: Annotated[int, Range(1, 64, "cells")] = 4,
) -> Mask:
    """Edit where the network looks for words of the caption, in noised copies of the picture.

    Choose it where you can name the thing but the edit does not replace it: for a new colour, a hat on its head, or to
    keep it while all else changes.  It finds bodies and misses outlines; dilate it.

    words: words of the caption; where there are several, each is scaled by itself and any of them counts.
    levels: noise levels to average over, spread evenly over the schedule.
    threshold: fraction of a word's range above which a cell is edited; 0 gives the map itself, to look at.
    coarsest: the largest sites that are read, in latent cells per side of a token; coarser ones know the place only.
    """
    spoken = {word: prompt.positions(word) for word in words}
    for word, positions in spoken.items():
        if not positions:
            raise ValueError(f"the model reads no '{word}' in the caption '{prompt.text}'")
    scales = sorted({site.scale for site in model.core.sites if site.kind == "cross" and site.scale <= coarsest})
    if not scales:
        raise ValueError(f"the network reads words at no more than {coarsest} cells a token nowhere; raise 'coarsest'")
    record = [Touch("cross", "read", "maps", scale=(scale, scale)) for scale in scales]
    chosen = _spread(schedule, levels)

    async def looked(step: Step, eps: Tensor) -> tuple[AttentionMaps, ...]:
        noised = step.noisy.mix(latents.data, eps)  # [C, h, w]
        return (await together(record=record, picture=model(noised, step.noisy, prompt))).maps

    draws = noise.normal(len(chosen), like=latents.data)  # [levels, C, h, w]
    seen = await gather(looked(step, eps) for step, eps in zip(chosen, draws, strict=True))
    of_scale = [sum(each, AttentionMaps()) for each in zip(*seen, strict=True)]
    sites = sum(maps.count for maps in of_scale)
    size = latents.data.shape[-2:]
    shares = [  # of each scale, [keys, h, w]
        _enlarged(maps.of("picture"), scale, size) * (maps.count / sites)
        for scale, maps in zip(scales, of_scale, strict=True)
    ]
    heat = torch.stack(shares).sum(0)  # [keys, h, w]
    # Each word between its own least and most, and of several the greatest: [h, w].
    found = torch.stack([_stretched(torch.stack([heat[i] for i in at]).mean(0)) for at in spoken.values()]).amax(0)
    return Mask.of_cells((found > threshold).to(found) if threshold else found, latents)


def _spread(schedule: Schedule, levels: int) -> list[Step]:
    """As many steps of a walk, the middle ones of equal parts."""
    count = min(levels, len(schedule))
    return [schedule.steps[(2 * i + 1) * len(schedule) // (2 * count)] for i in range(count)]


def _enlarged(maps: Tensor, scale: int, size: torch.Size) -> Tensor:
    """Maps [queries, keys] at some cells per token, on the cells of the latents: [keys, h, w]"""
    height, width = size
    small = maps.T.unflatten(1, (height // scale, width // scale))
    return F.interpolate(small[None], size=(height, width), mode="bilinear")[0]


def _stretched(heat: Tensor) -> Tensor:
    """From 0 at the least to 1 at the most; 0 where all is alike.  [h, w]"""
    above = heat - heat.min()
    return above / above.max().clamp(min=torch.finfo(heat.dtype).tiny)
