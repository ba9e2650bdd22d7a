"""pix2pix-zero: guidance by cross-attention.  Parmar et al. 2023, arXiv:2302.03027, sec. 3.2 and alg. 1."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import torch
from torch import Tensor

from retouch.api import (
    Asking,
    AttentionControl,
    Denoiser,
    Edit,
    Guidance,
    Latents,
    Level,
    NegativePrompt,
    Prediction,
    Prompt,
    Range,
    Schedule,
    SiteCall,
    SourcePrompt,
    TextEncoder,
    Touch,
    gather,
    stage,
    together,
    value_and_grad,
)
from retouch_methods.invert.ddim import ddim

Maps = dict[str, Tensor]  # site -> [heads, queries, keys]


@stage("guide", "pix2pix_zero", paper="arXiv:2302.03027", rows="2 * steps", facts={"guide": 3})
async def pix2pix_zero(
    latents: Latents,
    source: SourcePrompt,
    empty: NegativePrompt,
    edit: Edit,
    model: Denoiser,
    schedule: Schedule,
    texts: TextEncoder,
    *,
    guidance: Annotated[float, Range(0, 100)] = 5.0,
    lr: Annotated[float, Range(0, 10)] = 0.1,
    before: tuple[str, ...] = (),
    after: tuple[str, ...] = (),
    away_from_source: bool = True,
) -> Guidance:
    """Move the latents, before each prediction, so that words attend where they did in the source.

    Choose it where the structure has to stay and no control may write into the network: it asks for the source's maps
    by a gradient, so it bends where the edit needs it.  The source's maps are those of its DDIM inversion.

    guidance: scale of classifier-free guidance.
    lr: length of the gradient step on the latents; 0 is plain guidance.
    before, after: sentences with the old and with the new thing; the mean difference of their embeddings is the edit
        direction, added to the source prompt.  Without them the turn's target prompt is used as it is.
    away_from_source: whether the source prompt is the negative one, as in the paper, instead of the turn's own.
    """
    if bool(before) != bool(after):
        raise ValueError("an edit direction wants sentences on both sides: give 'before' and 'after'")
    direction = await _mean(texts, after) - await _mean(texts, before) if after else None
    pivot = await ddim(latents, source, empty, model, schedule)
    levels = [step.noisy for step in schedule]
    seen = await gather(_looked_at(model, x[0], at, source) for x, at in zip(pivot.states, levels, strict=False))
    known = {level.timestep: maps for level, (maps, _) in zip(levels, seen, strict=True)}

    async def guide(asked: Asking, x: Tensor, level: Level, prompt: Prompt, negative: Prompt) -> Prediction:
        if direction is not None and prompt.text == edit.target.text:
            prompt = replace(prompt, embeds=source.embeds + direction.to(source.embeds))
        if (wanted := known.get(level.timestep)) is not None:

            async def miss(x: Tensor) -> Tensor:
                maps, _ = await _looked_at(asked, x, level, prompt)
                return torch.stack([(maps[site] - wanted[site]).square().sum((1, 2)).mean() for site in wanted]).sum()

            _, (grad,), _ = await value_and_grad(miss, x)
            x = x - lr * grad
        away = source if away_from_source and prompt.text != source.text else negative
        pred = await together(uncond=asked(x, level, away, role="uncond"), cond=asked(x, level, prompt))
        return pred["uncond"].toward(pred["cond"], guidance)

    return guide


async def _looked_at(model: Asking, x: Tensor, level: Level, prompt: Prompt) -> tuple[Maps, Prediction]:
    """The cross-attention maps of all sites in one prediction, every head by itself."""
    maps: Maps = {}

    def look(attn: SiteCall) -> None:
        maps[attn.site.name] = attn.probs[0]

    control = AttentionControl(((Touch("cross", "read", "probs", "*"), look),))
    pred = await together(attention=(control,), look=model(x, level, prompt, role="look"))
    return maps, pred["look"]


async def _mean(texts: TextEncoder, sentences: tuple[str, ...]) -> Tensor:
    return torch.stack([each.embeds for each in await gather(texts.prompt(text) for text in sentences)]).mean(0)
