"""Guidance that fades out, and a loss that leads any guidance; keep the one that you need."""

from typing import Annotated

from torch import Tensor

from retouch.api import (
    Asking,
    Codec,
    Guidance,
    Level,
    Loss,
    Predicted,
    Prediction,
    Prompt,
    Range,
    hookimpl,
    stage,
    together,
    with_loss,
)


@stage("guide", "newcomer", facts={"guide": 2})
def newcomer(*, scale: Annotated[float, Range(0, 100)] = 7.5, last: Annotated[float, Range(0, 100)] = 1.0) -> Guidance:
    """Guide strongly where the picture is laid out, and less with every step.

    scale: at the first step; 1 is the prompt alone.
    last: what it falls to.
    """

    async def guide(model: Asking, x: Tensor, level: Level, prompt: Prompt, negative: Prompt) -> Prediction:
        pred = await together(uncond=model(x, level, negative, role="uncond"), cond=model(x, level, prompt))
        return pred["uncond"].toward(pred["cond"], scale + (last - scale) * level.progress)

    return guide


@stage("guide", "newcomer_loss", facts={"guide": "guide"})
def newcomer_loss(guidance: Guidance, codec: Codec, *, weight: Annotated[float, Range(0, 10000)] = 500.0) -> Guidance:
    """Lead each step of the guidance before it towards warm colours.

    weight: of how much more blue than red the predicted picture is, on average.
    """

    async def miss(seen: Predicted) -> Tensor:
        red, _, blue = await seen.picture("predicted")  # each [H, W]
        return (blue - red).mean()

    return with_loss(guidance, Loss(miss, weight), codec)


@hookimpl
def retouch_stages():
    """What this distribution adds."""
    return [newcomer, newcomer_loss]
