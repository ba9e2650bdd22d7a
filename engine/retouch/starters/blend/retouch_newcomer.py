"""Keep the source outside the mask, from some step on."""

from typing import Annotated

import torch
from torch import Tensor

from retouch.api import AttentionMaps, Blend, Latents, Mask, Range, Step, hookimpl, stage


@stage("blend", "newcomer")
def newcomer(mask: Mask, latents: Latents, *, start: Annotated[float, Range(0, 1)] = 0.2) -> Blend:
    """Put the source back outside the mask after each step, once the edit is laid out.

    start: fraction of the steps that are taken before.
    """
    area = mask.on(latents)  # [h, w]

    def apply(state: Tensor, source: Tensor, step: Step, maps: AttentionMaps) -> Tensor:
        share = area.to(state)  # against states [k, C, h, w]
        return torch.where(share == 0, source.to(state), torch.lerp(source.to(state), state, share))

    return Blend(apply, start=start)


@hookimpl
def retouch_stages():
    """What this distribution adds."""
    return [newcomer]
