"""KV-Edit: the background's keys and values are the source's own.  Zhu et al. 2025, arXiv:2502.17363, sec. 3.2."""

from __future__ import annotations

from functools import cache
from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional as F

from retouch.api import Latents, Mask, Range, SiteCall, Touch, stage


@stage(
    "attend",
    "background",
    paper="arXiv:2502.17363",
    touches=(Touch("self", "replace", "kv", rows="*", start="start", until="until"),),
)
def background(
    latents: Latents,
    mask: Mask,
    *,
    start: Annotated[float, Range(0, 1)] = 0.0,
    until: Annotated[float, Range(0, 1)] = 1.0,
):
    """Let the inside of the mask see the source's own surroundings, at every site, while it becomes something else.

    Choose it beside a mask and `blend latent`, where what is put in has to fit what is around it: that is KV-Edit,
    whose background is the picture's own latents.  What the paper keeps from the inversion is asked again beside the
    edit: a row more a step, and no memory.  After `invert sdedit begin="noise"` the thing that was there is forgotten
    first, as the paper does to remove it; after `invert flowedit` it is the authors' variant without an inversion.

    start, until: fractions of the steps that are taken, between which the background is the source's.
    """
    area = mask.on(latents)

    @cache
    def outside(scale: int) -> Tensor:
        """Tokens of a site in which no cell is edited.  [tokens]"""
        return F.max_pool2d(area[None, None].float(), scale, ceil_mode=True).flatten() == 0

    def share(attn: SiteCall) -> None:
        where = outside(attn.site.scale)
        for source, target in attn.pairs("source", "target"):
            for tensor in (attn.k, attn.v):
                # Chosen, not indexed: how many tokens these are only the device knows.
                tensor[target] = torch.where(where[:, None], tensor[source], tensor[target])

    return (share,)
