"""Let the target look part of its content up in the source."""

from typing import Annotated

import torch

from retouch.api import Range, SiteCall, Touch, hookimpl, stage


@stage(
    "attend",
    "newcomer",
    touches=(
        Touch("self", "transform", "k", until="until", place="up"),
        Touch("self", "transform", "v", until="until", place="up"),
    ),
)
def newcomer(*, share: Annotated[float, Range(0, 1)] = 0.5, until: Annotated[float, Range(0, 1)] = 0.8):
    """Mix keys and values of the decoder's self-attention with the source's.

    share: how much is the source's; 0 changes nothing, 1 leaves nothing of the target's own.
    until: fraction of the steps that are taken before the target is left to itself.
    """

    def keys(attn: SiteCall) -> None:
        for source, target in attn.pairs("source", "target", role="cond"):
            attn.k[target] = torch.lerp(attn.k[target], attn.k[source], share)  # [heads, keys, dim]

    def values(attn: SiteCall) -> None:
        for source, target in attn.pairs("source", "target", role="cond"):
            attn.v[target] = torch.lerp(attn.v[target], attn.v[source], share)

    return keys, values  # one function for each touch, in their order


@hookimpl
def retouch_stages():
    """What this distribution adds."""
    return [newcomer]
