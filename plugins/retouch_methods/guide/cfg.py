"""Classifier-free guidance.  Ho & Salimans 2022, arXiv:2207.12598."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor

from retouch.api import Asking, Guidance, Level, Prediction, Prompt, Range, stage, together, unguided


@stage(
    "guide",
    "cfg",
    paper="arXiv:2207.12598",
    default=True,
    facts={"guide": "1 if guidance == 1 else 2", "unheard": "guidance == 0"},
)
def cfg(*, guidance: Annotated[float, Range(0, 100)] = 7.5) -> Guidance:
    """Extrapolate from the negative prompt's prediction through the prompt's.

    guidance: 1 is the prompt alone and costs half; above 1 the prompt is exaggerated.
    """

    async def guide(model: Asking, x: Tensor, level: Level, prompt: Prompt, negative: Prompt) -> Prediction:
        pred = await together(uncond=model(x, level, negative, role="uncond"), cond=model(x, level, prompt))
        return pred["uncond"].toward(pred["cond"], guidance)

    return unguided if guidance == 1 else guide
