"""Blending in latents.  Avrahami et al. 2022, arXiv:2206.02779, alg. 1; with a trajectory, DiffEdit's step 3."""

from __future__ import annotations

import torch
from torch import Tensor

from retouch.api import AttentionMaps, Blend, Latents, Mask, Step, stage


@stage("blend", "latent", paper="arXiv:2206.02779", default=True)
def latent(mask: Mask, latents: Latents) -> Blend:
    """After each step, put the source back outside the mask, at the noise level that the step has reached.

    Where the mask is 0 the latents are the source's, bit for bit; where it is between, the two are mixed.
    """
    area = mask.on(latents)

    def apply(state: Tensor, source: Tensor, step: Step, maps: AttentionMaps) -> Tensor:
        share = area.to(state)
        return torch.where(share == 0, source.to(state), torch.lerp(source.to(state), state, share))

    return Blend(apply)
