"""Prompt-to-Prompt.  Hertz et al. 2022, arXiv:2208.01626, alg. 1: word swap, refinement and re-weighting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import torch
from torch import Tensor

from retouch.api import Edit, Need, Range, SiteCall, Touch, stage
from retouch_methods.attend.alignment import alignment, tokens_of


@stage(
    "attend",
    "p2p",
    paper="arXiv:2208.01626",
    touches=(
        Touch("cross", "replace", "probs", until="cross_replace"),
        Touch("cross", "replace", "probs", until="word_replace"),
        Touch("self", "replace", "qk", until="self_replace"),
    ),
    needs=(
        Need(
            "not word_replace or len(word_replace) == len(words)",
            "has a fraction in 'word_replace' for each of 'words': {len(words)}, and not {len(word_replace)}",
            "write as many of both",
        ),
    ),
)
def p2p(
    edit: Edit,
    *,
    cross_replace: Annotated[float, Range(0, 1)] = 0.8,
    self_replace: Annotated[float, Range(0, 1)] = 0.4,
    words: tuple[str, ...] = (),
    word_replace: tuple[Annotated[float, Range(0, 1)], ...] = (),
    align: Literal["auto", "replace", "refine", "replace_official", "refine_official"] = "auto",
    self_tokens: Annotated[int, Range(1, 65536, "tokens")] = 1024,
):
    """Keep the source's layout: let the target attend as the source does, for the first part of the walk.

    Choose it where things stay where they are and become something else: cat to dog, summer to winter, a photo to a
    painting.  It cannot move or turn what is there, and it keeps no background by itself: that is for an inversion
    that replays the source, or a blend.

    Fractions are of the N steps that are taken, after `strength` has left out the noisiest: b is the first ceil(b N)
    of them.  The authors' code takes int(b (N + 1)) for words and int(b N) for pixels, which is the same where b N is
    whole and b is below 1, and otherwise may end a step earlier.  The code of edit-friendly DDPM counts the steps from
    the first that is taken too, but takes its fractions of all: 0.6 after skipping 36 of 100 are 60 of 64, here 0.9375.

    cross_replace: fraction of the steps in which words attend where the source's words did; 0 leaves the layout of
        words free, 1 holds the new thing to the old one's outline.
    self_replace: fraction of the steps in which pixels attend to each other as in the source; 0 leaves shapes free,
        1 keeps the source's whole geometry.
    words: words of the target prompt that share maps for their own fraction of the steps instead of `cross_replace`.
    word_replace: a fraction for each of `words`, in their order; 0 never shares it, so that the new word may take its
        own shape.  Without any all are 0.
    align: "replace" pairs word n with word n and wants as many in both prompts, "refine" pairs the tokens that both
        have, by their ids, and leaves new ones their own maps, "auto" replaces if it can and else refines.  Two slips
        of the authors' code, both of which mix unrelated words: "replace_official" pairs by position after a word whose
        tokens change in number; "refine_official" gives the target's padding the maps of whatever the source has at
        that place, and where the source prompt is the longer one, those are its last words.
    self_tokens: the largest self-attention that is shared, in tokens; the first release had 256.
    """
    matrix, aligned = alignment(edit.source, edit.target, align)
    factor, named = torch.ones_like(aligned), torch.zeros_like(aligned)
    until = torch.full_like(aligned, -1.0)  # of the named words, each its own
    for weighed, weight in edit.weights:
        factor[tokens_of(edit.target, weighed)] = weight
    for word, bound in zip(words, word_replace or [0.0] * len(words), strict=True):
        named[tokens_of(edit.target, word)], until[tokens_of(edit.target, word)] = 1, bound

    device = edit.target.embeds.device  # once, where every site reads them
    matrix, aligned, factor, named, until = (t.to(device) for t in (matrix, aligned, factor, named, until))

    def shared(windows: Callable[[float], Tensor]):
        """For target tokens in the window, factor · (P @ matrix + P* · new); for the others P*, as it is."""

        def share(attn: SiteCall) -> None:
            window = windows(attn.progress)
            theirs = (matrix * factor * window).to(edit.target.embeds)
            own = ((1 - aligned) * factor * window + (1 - window)).to(edit.target.embeds)
            for source, target in attn.pairs("source", "target", role="cond"):
                p, p_target = attn.probs[source], attn.probs[target]
                attn.probs[target] = p @ theirs.to(p) + p_target * own.to(p)

        return share

    def layout(attn: SiteCall) -> None:
        """The source's maps over the target's values: softmax(q k) of the source, without making it."""
        if attn.q.shape[-2] <= self_tokens:
            for source, target in attn.pairs("source", "target", role="cond"):
                attn.q[target], attn.k[target] = attn.q[source], attn.k[source]

    return shared(lambda _: 1 - named), shared(lambda progress: (progress < until).to(named)), layout
