"""Blending in latents.  Avrahami et al. 2022, arXiv:2206.02779, alg. 1; with a trajectory, DiffEdit's step 3."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from torch import Tensor

from retouch.api import AttentionMaps, Blend, Latents, Mask, Range, Step, stage
from retouch_methods.mask.shape import grown


@stage("blend", "latent", paper="arXiv:2206.02779", default=True)
def latent(
    mask: Mask,
    latents: Latents,
    *,
    shrink: Annotated[int, Range(0, 32, "cells")] = 0,
    level: Literal["reached", "one_late"] = "reached",
) -> Blend:
    """After each step, put the source back outside the mask, at the noise level that the step has reached.

    Choose it for every masked edit: inside and outside are denoised as one picture, so that they fit.  The decoder
    mixes neighbouring cells, so that only `blend pixel` after it keeps the pixels.

    shrink: begins with the mask grown by as many cells and takes one off at a time, in equal parts of the steps that
        are taken, so that an edit finds its way into a thin mask; 0 keeps the mask as it is.
    level: "reached" is the level of the papers; "one_late" blends the source as noisy as it was before the step, as
        the code of both does, which leaves the noise of the last step in the background.
    """
    area = mask.on(latents)  # [h, w]
    stages = torch.stack([grown(area, cells) if cells else area for cells in range(shrink + 1)])  # [stages, h, w]

    def apply(state: Tensor, source: Tensor, step: Step, maps: AttentionMaps) -> Tensor:
        share = stages[shrink - int(step.progress * (shrink + 1))].to(state)  # [h, w], against states [k, C, h, w]
        return torch.where(share == 0, source.to(state), torch.lerp(source.to(state), state, share))

    return Blend(apply, late=level == "one_late")
