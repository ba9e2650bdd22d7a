"""Plug-and-Play diffusion features.  Tumanyan et al. 2022, arXiv:2211.12572, sec. 4."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from retouch.api import Need, Range, SiteCall, Touch, stage


@stage(
    "attend",
    "pnp_features",
    paper="arXiv:2211.12572",
    touches=(
        Touch("self", "replace", "qk", "*", until="layout", depth=(0.5, 1.0)),
        Touch("resnet", "replace", "features", "*", until="features", sites="up_blocks.1.resnets.1"),
    ),
    needs=(
        Need(
            "rows == 'own' or guide != 1",
            'has rows="unconditional", and guidance as it is here asks for no row without the prompt',
            'write rows="own", or another guidance than 1',
        ),
    ),
)
def pnp_features(
    *,
    layout: Annotated[float, Range(0, 1)] = 0.5,
    features: Annotated[float, Range(0, 1)] = 0.8,
    rows: Literal["own", "unconditional"] = "own",
):
    """Give the target the source's spatial features, and let its pixels attend to each other as the source's do.

    Choose it where all shapes are to stay and their looks to change: a photo to a painting, a cat to a cat of bronze.
    It holds the layout harder than Prompt-to-Prompt, so what has another outline suffers.  What is shared is what the
    paper shares: the features of decoder block 4, and queries and keys of the self-attention of blocks 4 to 11, the
    later half of the network.  The
    paper's source is that of `invert ddim parts=20 pinned="always"` with 50 steps.

    layout: fraction of the steps that are taken in which self-attention has the source's queries and keys; of 50 steps
        0.5 is 25, as in the authors' code for diffusers, and 0.51 is 26, as in their first.
    features: fraction of the steps that are taken in which the residual block has the source's features; of 50 steps
        0.8 is 40, as in the authors' code for diffusers, and 0.81 is 41, as in their first.
    rows: "own" pairs rows with the prompt and rows without it each with its like; "unconditional" gives all the
        source's row without the prompt, as the authors' code does, and wants guidance other than 1.  A pass that has
        no such row, as of a guidance's second network or of its own look at maps, pairs each with its like.
    """

    def pairs(attn: SiteCall) -> Iterable[tuple[int, int]]:
        empty = next((i for i, path in enumerate(attn.roles) if path[0] == "source" and path[-1] == "uncond"), None)
        if rows == "own" or empty is None:
            return attn.pairs("source", "target")
        return ((empty, i) for i, path in enumerate(attn.roles) if path[0] == "target")

    def queries(attn: SiteCall) -> None:
        for source, target in pairs(attn):
            attn.q[target], attn.k[target] = attn.q[source], attn.k[source]

    def blocks(attn: SiteCall) -> None:
        for source, target in pairs(attn):
            attn.features[target] = attn.features[source]

    return queries, blocks
