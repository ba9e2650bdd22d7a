"""Where the source's own walk leads through: plain DDIM inversion, for guidances that compare with it."""

from __future__ import annotations

import torch
from torch import Tensor

from retouch.api import Denoiser, Prompt, Schedule


async def inverted(model: Denoiser, x: Tensor, prompt: Prompt, schedule: Schedule) -> Tensor:
    """The latents of an unguided walk up from a picture's.  Song et al. 2021, arXiv:2010.02502, eq. 13.

    x: Tensor  # [C, h, w]
    Returns [N + 1, C, h, w], noisiest first; a step asks at the latents that it leaves, at the level that it goes to.
    """
    path = [x]
    for step in schedule.ascending():
        path.append(step.uncarry(path[-1], await model(path[-1], step.noisy, prompt)))
    return torch.stack(path[::-1])
