"""Guidance as a number that the network was distilled to take: FLUX.1 [dev], Meng et al. 2022, arXiv:2210.03142."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor

from retouch.api import Asking, Denoiser, Guidance, Level, Prediction, Prompt, Range, stage
from retouch_methods.guide.cfg import cfg

GUIDANCE = "guidance"  # what families call the number


@stage("guide", "distilled", paper="arXiv:2210.03142", facts={"guide": 1}, told=("guidance",), instead="guide cfg")
def distilled(*, guidance: Annotated[float, Range(0, 100)] = 3.5) -> Guidance:
    """Tell the network how strongly to follow the prompt, in one row instead of two.

    Choose it on models that were distilled for it, FLUX.1 [dev] among them.  The negative prompt is not read; on the
    same models `guide cfg` reads it, at twice the cost, and tells the network its neutral number.

    guidance: what the network is told; its own usual value is 3.5, and low ones leave more to the picture.
    """

    async def guide(model: Asking, x: Tensor, level: Level, prompt: Prompt, negative: Prompt) -> Prediction:
        return await model(x, level, prompt, told={GUIDANCE: guidance})

    return guide


def guided(model: Denoiser, scale: float) -> Guidance:
    """Guidance of this scale, as the model has it: told where it was distilled for that, else classifier-free."""
    return distilled(guidance=scale) if GUIDANCE in model.told else cfg(guidance=scale)
