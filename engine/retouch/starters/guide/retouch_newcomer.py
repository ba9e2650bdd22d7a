"""Guidance that fades out."""

from typing import Annotated

from torch import Tensor

from retouch.api import Asking, Guidance, Level, Prediction, Prompt, Range, hookimpl, stage, together


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


@hookimpl
def retouch_stages():
    """What this distribution adds."""
    return [newcomer]
