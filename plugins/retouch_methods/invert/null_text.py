"""Null-text inversion.  Mokady et al. 2022, arXiv:2211.09794, alg. 1."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from torch import Tensor

from retouch.api import (
    Adam,
    Denoiser,
    Guidance,
    Latents,
    NegativePrompt,
    Negatives,
    Prompt,
    Range,
    Schedule,
    SourcePrompt,
    Trajectory,
    on_host,
    remembering,
    stage,
    value_and_grad,
)
from retouch_methods.invert.ddim import ddim


@stage(
    "invert",
    "null_text",
    paper="arXiv:2211.09794",
    # The walk up and the prompt's own prediction, then each guided one but for the row that is known.
    rows="2 * steps if guide == 1 else "
    "(2 * steps * ((guide_least if guide_least else guide) + unprompted), "
    "(2 + (guide - 1 + unprompted) * (1 + inner_steps)) * steps)",
    facts={
        "evaluations": 1,
        "pinned": True,
        "replays": "'ddim'",
        "led": "0 if guide == 1 else inner_steps * steps",
    },
    words="needed",
    instead="invert ddim",
)
async def null_text(
    latents: Latents,
    prompt: SourcePrompt,
    negative: NegativePrompt,
    model: Denoiser,
    schedule: Schedule,
    guidance: Guidance,
    *,
    inner_steps: Annotated[int, Range(1, 500, "steps")] = 10,
    lr: Annotated[float, Range(0, 1)] = 1e-2,
    stop: Annotated[float, Range(0, 1)] = 1e-5,
    stop_growth: Annotated[float, Range(0, 1)] = 2e-5,
    decay: Literal["steps", "official"] = "steps",
) -> Trajectory:
    """Tune the empty prompt, step by step, until guided sampling stays on the DDIM trajectory.

    Choose it where guidance is strong and the background has to stay; it costs about ten times plain DDIM.

    inner_steps: the most gradient steps at each step of the walk.
    lr: learning rate of Adam at the noisiest step, in units of the embedding.
    stop: mean squared error of the latents below which a step is done.
    stop_growth: how much `stop` grows with each step, as in the authors' code; 0 for both is the paper's algorithm,
        which takes all inner steps.
    decay: "steps" halves the learning rate over the walk, whatever its length; "official" lowers it by 1 % a step,
        as the authors' code does, and reaches zero at 100 steps.
    """
    pivot = await ddim(latents, prompt, negative, model, schedule)
    x, null = pivot.states[0, 0], negative.embeds  # [C, h, w], [tokens, dim]
    nulls: list[Prompt] = []
    for i, step in enumerate(schedule):
        # The prompt's own prediction does not hang on what is tuned: it is asked once, and not with every inner step.
        known = remembering(model, prompt, await model(x, step.noisy, prompt))
        goal = pivot.states[i + 1, 0]  # [C, h, w]

        async def reach(embeds: Tensor, x: Tensor = x, step=step, known=known) -> Tensor:
            """Where a step leads under this empty prompt.  [tokens, dim], [C, h, w] -> [C, h, w]"""
            pred = await guidance(known, x, step.noisy, prompt, negative.saying(embeds))
            return step.clean.mix(pred.x0, pred.eps)

        async def miss(embeds: Tensor, reach=reach, goal: Tensor = goal) -> Tensor:
            """How far from the pivot that leads.  [tokens, dim] -> []"""
            return (await reach(embeds) - goal).square().mean()

        adam = Adam(lr * max(0.0, 1 - i / (100 if decay == "official" else 2 * len(schedule))))
        for _ in range(inner_steps):
            loss, (grad,), _ = await value_and_grad(miss, null)
            null = adam.step(null, grad)
            if stop + stop_growth * i > 0 and await on_host(loss) < stop + stop_growth * i:
                break
        # Alg. 1 there: the next step begins where this one led, and not on the pivot, so that it makes up for the rest.
        x = await reach(null)
        nulls.append(negative.saying(null))
    return replace(pivot, rule=Negatives(pivot.rule, tuple(nulls)))
