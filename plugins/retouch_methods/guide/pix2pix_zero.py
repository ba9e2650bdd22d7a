"""pix2pix-zero: guidance by cross-attention.  Parmar et al. 2023, arXiv:2302.03027, sec. 3.2 and alg. 1."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from retouch.api import (
    Asking,
    AttentionControl,
    Denoiser,
    Edit,
    Guidance,
    Latents,
    Level,
    Moot,
    Need,
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
from retouch_methods.guide.inverted import inverted
from retouch_methods.lengths import as_long

Maps = dict[str, Tensor]  # site -> [heads, queries, keys]


class Seen(NamedTuple):
    """The source's maps at one level: of the row with its prompt, and of the row that guidance leads away from."""

    cond: Maps
    uncond: Maps


@stage(
    "guide",
    "pix2pix_zero",
    paper="arXiv:2302.03027",
    moot=(Moot("reference", "lr == 0", "'lr' says that nothing is moved"),),
    version=3,
    rows="steps * (3 if (moves == 'rows' or reference == 'sampled') and not away_from_source else 2)",
    # Moved as latents, what is asked about the source has been led by the target's maps.
    facts={"guide": "4 if moves == 'rows' else 3", "unheard": "guidance == 0 and moves == 'rows'"},
    needs=(
        Need(
            "(len(before) > 0) == (len(after) > 0)",
            "wants sentences on both sides of its edit direction",
            "give both 'before' and 'after'",
        ),
    ),
)
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
    moves: Literal["latents", "rows"] = "latents",
    reference: Literal["inverted", "sampled"] = "inverted",
    before: tuple[str, ...] = (),
    after: tuple[str, ...] = (),
    away_from_source: bool = True,
) -> Guidance:
    """Move the latents, before each prediction, so that words attend where they did in the source.

    Choose it where the structure has to stay and no control may write into the network: it asks for the source's maps
    by a gradient, so it bends where the edit needs it.

    guidance: scale of classifier-free guidance.
    lr: length of the gradient step; 0 is plain guidance.
    moves: "latents" moves them by the gradient at the edit's prompt before both predictions, as the paper has it;
        "rows" moves the input of each prediction by half of its own gradient and goes on from that of the prediction
        that guidance leads away from, as the authors' code does, which averages over the heads of both.
    reference: "inverted" takes the source's maps from its DDIM inversion, "sampled" from latents that are sampled back
        from where that ended, as the authors' code does.
    before, after: sentences with the old and with the new thing; the mean difference of their embeddings is the edit
        direction, added to the source prompt.  Without them the turn's target prompt is used as it is.
    away_from_source: whether the source prompt is the negative one, as in the paper, instead of the turn's own.
    """
    direction = None
    if after:
        now, then = as_long(await _mean(texts, after), await _mean(texts, before))
        direction = now - then  # [tokens, dim]
    walked = await inverted(model, latents.data, source, schedule)  # [N + 1, C, h, w]
    other = empty if not away_from_source and (moves == "rows" or reference == "sampled") else source
    states = None if reference == "sampled" else walked
    known = await _of_source(model, schedule, walked[0], states, (source, other), guidance)

    async def guide(asked: Asking, x: Tensor, level: Level, prompt: Prompt, negative: Prompt) -> Prediction:
        if direction is not None and prompt.text == edit.target.text:
            prompt = replace(prompt, embeds=torch.add(*as_long(source.embeds, direction.to(source.embeds))))
        wanted = known[min(known, key=lambda each: abs(each - level.timestep))]  # a solver may ask between two steps
        if moves == "rows":
            away = source if away_from_source else negative
            rows = ((prompt, wanted.cond), (away, wanted.uncond))
            toward_x, away_x = await gather(_nearer(asked, x, level, each, maps, lr / 2) for each, maps in rows)
        else:
            away = source if away_from_source and prompt.text != source.text else negative
            toward_x = away_x = await _nearer(asked, x, level, prompt, wanted.cond, lr)
        pred = await together(uncond=asked(away_x, level, away, role="uncond"), cond=asked(toward_x, level, prompt))
        if moves == "rows":
            return level.heard(away_x, torch.lerp(level.said(pred["uncond"]), level.said(pred["cond"]), guidance))
        return pred["uncond"].toward(pred["cond"], guidance)

    return guide


async def _of_source(
    model: Denoiser,
    schedule: Schedule,
    x: Tensor,
    states: Tensor | None,
    prompts: tuple[Prompt, Prompt],
    guidance: float,
) -> dict[float, Seen]:
    """The source's maps by timestep: at states that are there, or at those that sampling from x leads through.

    x: Tensor  # [C, h, w]
    states: Tensor  # [N + 1, C, h, w]
    """

    async def seen(x: Tensor, level: Level) -> tuple[Seen, Prediction]:
        alone = prompts[0] is prompts[1]
        found = await gather(_looked_at(model, x, level, each) for each in prompts[: 1 if alone else 2])
        (cond, toward), (uncond, away) = found[0], found[-1]
        return Seen(cond, uncond), toward if alone else away.toward(toward, guidance)

    if states is not None:
        looked = await gather(seen(each, step.noisy) for each, step in zip(states, schedule, strict=False))
        return {step.noisy.timestep: maps for step, (maps, _) in zip(schedule, looked, strict=True)}
    known: dict[float, Seen] = {}
    for step in schedule:
        known[step.noisy.timestep], pred = await seen(x, step.noisy)
        x = step.clean.mix(pred.x0, pred.eps)
    return known


async def _nearer(model: Asking, x: Tensor, level: Level, prompt: Prompt, wanted: Maps, lr: float) -> Tensor:
    """x [C, h, w], a gradient step nearer to these maps."""

    async def miss(x: Tensor) -> Tensor:
        maps, _ = await _looked_at(model, x, level, prompt)
        missed = [_apart(maps[site], wanted[site]).square().sum((1, 2)).mean() for site in wanted]  # [] each
        return torch.stack(missed).sum()

    _, (grad,), _ = await value_and_grad(miss, x)
    return x - lr * grad


def _apart(one: Tensor, other: Tensor) -> Tensor:
    """Their difference, [heads, queries, keys]: words that one prompt has no room for get none of its attention."""
    keys = max(one.shape[-1], other.shape[-1])
    one, other = (F.pad(each, (0, keys - each.shape[-1])) for each in (one, other))
    return one - other


async def _looked_at(model: Asking, x: Tensor, level: Level, prompt: Prompt) -> tuple[Maps, Prediction]:
    """The cross-attention maps of all sites in one prediction, every head by itself."""
    maps: Maps = {}

    def look(attn: SiteCall) -> None:
        maps[attn.site.name] = attn.probs[0]  # [heads, queries, keys]

    control = AttentionControl(((Touch("cross", "read", "probs", "*"), look),))
    pred = await together(attention=(control,), look=model(x, level, prompt, role="look"))
    return maps, pred["look"]


async def _mean(texts: TextEncoder, sentences: tuple[str, ...]) -> Tensor:
    """The mean of their embeddings.  [tokens, dim]"""
    said = await gather(texts.prompt(text) for text in sentences)
    return torch.stack(as_long(*(each.embeds for each in said))).mean(0)
