"""MasaCtrl: mutual self-attention.  Cao et al. 2023, arXiv:2304.08465, eq. 3 and 4."""

from __future__ import annotations

from functools import cache
from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional as F

from retouch.api import Latents, Mask, Need, Range, SiteCall, Touch, stage


@stage(
    "attend",
    "masactrl",
    paper="arXiv:2304.08465",
    version=2,
    touches=(
        Touch("self", "replace", "kv", rows="*", start="start", place="up", scale=(1, "coarsest")),
        Touch("self", "transform", "probs", rows="*", start="start", until="masked", place="up", scale=(1, "coarsest")),
    ),
    needs=(
        Need(
            "mask or not masked",
            "wants a mask in this turn, since it is masked",
            "add one before it, such as mask diffedit; one of an earlier turn is given by name, mask=area",
        ),
    ),
)
def masactrl(
    latents: Latents,
    mask: Mask | None = None,
    destination: Mask | None = None,
    *,
    start: Annotated[float, Range(0, 1)] = 0.08,
    masked: bool = False,
    coarsest: Annotated[int, Range(1, 64, "cells")] = 2,
):
    """Let the target look its content up in the source: its own queries, the source's keys and values.

    Choose it where the thing stays what it is and moves or turns: a sitting dog stands up.  It keeps texture and
    identity, not the layout; a change of kind, such as cat to dog, it tends to undo.  Rows with the prompt and rows
    without it share alike.

    start: fraction of the steps that are taken before sharing begins, in which the target finds its own layout; the
        paper has 4 of 50.
    masked: whether the inside of `destination` looks up the inside of the mask alone, and its outside the outside.  The
        turn's mask says where the thing was; destination=there, where `there` is a flow that holds a mask, says where
        it is to be, and without one it stays where it was.
    coarsest: latent cells a side of the coarsest tokens that share, in the decoder; at 2 these are the sites at full
        and half resolution, on Stable Diffusion the paper's layers 10 to 15.  A model of pixels attends coarser.
    """
    was = mask.on(latents) if mask is not None else None  # [h, w]
    will = was if destination is None else destination.on(latents)  # [h, w]

    @cache
    def sides(scale: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The keys outside and inside [tokens], how much a query looks inside [tokens, 1], if there are both []."""
        assert was is not None
        assert will is not None
        inside = _at(was, scale) > 0.5
        parted = ~inside.all() & inside.any()  # asked of the device, where no pass waits for the answer
        return ~inside | ~parted, inside | ~parted, _at(will, scale)[:, None], parted

    def share(attn: SiteCall) -> None:
        for source, target in attn.pairs("source", "target"):
            attn.k[target], attn.v[target] = attn.k[source], attn.v[source]

    def keep_apart(attn: SiteCall) -> None:
        """Softmax over the keys of one side alone: the maps, with the other side's keys left out."""
        outside, inside, looking, parted = sides(attn.site.scale)
        for _, target in attn.pairs("source", "target"):
            probs = attn.probs[target]  # [heads, queries, keys]
            apart = torch.lerp(_among(probs, outside), _among(probs, inside), looking.to(probs))
            attn.probs[target] = torch.where(parted, apart, probs)

    return share, keep_apart


def _at(area: Tensor, scale: int) -> Tensor:
    """A mask [h, w] at the tokens of a site, the nearest cell of each: as the authors have it.  [tokens]"""
    size = [-(-side // scale) for side in area.shape]
    return F.interpolate(area[None, None], size)[0, 0].flatten()


def _among(probs: Tensor, keys: Tensor) -> Tensor:
    """Attention [heads, queries, keys] to some of the keys alone."""
    kept = probs * keys.to(probs)
    return kept / kept.sum(-1, keepdim=True).clamp_min(torch.finfo(probs.dtype).tiny)
