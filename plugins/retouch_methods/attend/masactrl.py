"""MasaCtrl: mutual self-attention.  Cao et al. 2023, arXiv:2304.08465, eq. 3 and 4."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor
from torch.nn import functional as F

from retouch.api import Latents, Mask, Range, SiteCall, Touch, stage


@stage(
    "attend",
    "masactrl",
    paper="arXiv:2304.08465",
    touches=(
        Touch("self", "replace", "kv", rows="*", start="start", place="up", scale=(1, 2)),
        Touch("self", "transform", "probs", rows="*", start="start", until="masked", place="up", scale=(1, 2)),
    ),
)
def masactrl(
    latents: Latents,
    mask: Mask | None = None,
    *,
    start: Annotated[float, Range(0, 1)] = 0.08,
    masked: bool = False,
):
    """Let the target look its content up in the source: its own queries, the source's keys and values.

    Choose it where the thing stays what it is and moves or turns: a sitting dog stands up.  It keeps texture and
    identity, not the layout; a change of kind, such as cat to dog, it tends to undo.  The decoder's sites at full and
    half resolution share, which on Stable Diffusion are the paper's layers 10 to 15; rows with the prompt and rows
    without it alike.

    start: fraction of the steps that are taken before sharing begins, in which the target finds its own layout; the
        paper has 4 of 50.
    masked: whether the inside of the turn's mask looks up the source's inside alone, and its outside the outside.
    """
    if masked and mask is None:
        raise ValueError("'masked' wants a mask in this turn: add one, such as mask diffedit, before this stage")
    area = mask.on(latents) if mask is not None else None

    def share(attn: SiteCall) -> None:
        for source, target in attn.pairs("source", "target"):
            attn.k[target], attn.v[target] = attn.k[source], attn.v[source]

    def keep_apart(attn: SiteCall) -> None:
        """Softmax over the keys of one's own side alone: the maps, with the other side's keys left out."""
        assert area is not None
        inside = F.max_pool2d(area[None, None], attn.site.scale)[0, 0].flatten() > 0.5
        if inside.all() or not inside.any():
            return
        same = inside[:, None] == inside[None, :]
        for _, target in attn.pairs("source", "target"):
            attn.probs[target] = _kept(attn.probs[target], same)

    return share, keep_apart


def _kept(probs: Tensor, same: Tensor) -> Tensor:
    own = probs * same.to(probs)
    return own / own.sum(-1, keepdim=True).clamp_min(1e-12)
