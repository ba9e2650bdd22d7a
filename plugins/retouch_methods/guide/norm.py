"""Classifier-free guidance at the norm of the prompt's own prediction, as Qwen-Image samples.

Wu et al. 2025, arXiv:2508.02324, and the pipeline of its authors.
"""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional as F

from retouch.api import Asking, Guidance, Level, Prediction, Prompt, Range, stage, together, unguided


@stage(
    "guide", "norm", paper="arXiv:2508.02324", facts={"guide": "1 if guidance == 1 else 2", "unheard": "guidance == 0"}
)
def norm(
    *,
    guidance: Annotated[float, Range(0, 100)] = 4.0,
    patch: Annotated[int, Range(1, 64, "cells")] = 2,
) -> Guidance:
    """Extrapolate as classifier-free guidance does, then shrink what came out to the length that the prompt's had.

    Choose it where strong guidance burns colours: the direction is guided, the size is not.

    guidance: 1 is the prompt alone and costs half; above 1 the prompt is exaggerated.
    patch: latent cells along a side that share one length; 2 is a token of Qwen-Image.
    """

    async def guide(model: Asking, x: Tensor, level: Level, prompt: Prompt, negative: Prompt) -> Prediction:
        pred = await together(uncond=model(x, level, negative, role="uncond"), cond=model(x, level, prompt))
        cond, uncond = level.said(pred["cond"]), level.said(pred["uncond"])
        moved = uncond + guidance * (cond - uncond)
        return level.heard(x, moved * _length(cond, patch) / _length(moved, patch))

    return unguided if guidance == 1 else guide


def _length(said: Tensor, patch: int) -> Tensor:
    """The length of each patch, over its cells and channels, at every cell of it.  [C, h, w] -> [1, h, w]

    Cells over the edge of a patch that does not fit count as zero; nothing is divided by zero.
    """
    height, width = said.shape[-2:]
    whole = F.pad(said.square().sum(0, keepdim=True), (0, -width % patch, 0, -height % patch))
    sums = F.avg_pool2d(whole, patch) * patch**2
    every = sums.repeat_interleave(patch, -1).repeat_interleave(patch, -2)[..., :height, :width]
    return every.sqrt().clamp_min(torch.finfo(said.dtype).tiny)
