"""Prompt-to-Prompt.  Hertz et al. 2022, arXiv:2208.01626, alg. 1: word swap, refinement and re-weighting."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal

import torch
from torch import Tensor

from retouch.api import Edit, Need, Range, SiteCall, Touch, WordsOf, stage, upload
from retouch_methods.attend.alignment import Alignment, alignment, tokens_of


@dataclass(frozen=True, slots=True, eq=False)
class Sharing:
    """The fraction of the steps until which each target token attends as the source does; below 0, never.

    until: Tensor  # [target tokens]
    """

    until: Tensor

    def at(self, progress: float) -> Tensor:
        """1 for the tokens that share at this point of the walk, 0 for the others.  [target tokens]"""
        return (progress < self.until).to(self.until)


@stage(
    "attend",
    "p2p",
    paper="arXiv:2208.01626",
    instead="attend masactrl",
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
        Need(
            "(align != 'replace' and align != 'replace_official') or source_words == target_words",
            'swaps word for word under align="{align}", and the prompts have {source_words} and {target_words} words',
            'write as many words in both, or use align="refine"',
        ),
    ),
)
def p2p(
    edit: Edit,
    *,
    cross_replace: Annotated[float, Range(0, 1)] = 0.8,
    self_replace: Annotated[float, Range(0, 1)] = 0.4,
    words: tuple[Annotated[str, WordsOf("target")], ...] = (),
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
    matrix, aligned = alignment(edit.source, edit.target, align)  # [source tokens, target tokens], [target tokens]
    factor = torch.ones_like(aligned)  # [target tokens]
    for weighed, weight in edit.weights:
        factor[tokens_of(edit.target, weighed)] = weight

    # The touch of `cross_replace` ends the sharing of all words but the named ones, each of which has its own end.
    others = torch.full_like(aligned, torch.inf)  # [target tokens]
    named = torch.full_like(aligned, -1.0)  # [target tokens]
    for word, until in zip(words, word_replace or [0.0] * len(words), strict=True):
        tokens = tokens_of(edit.target, word)
        others[tokens], named[tokens] = -1.0, until

    device, dtype = edit.target.embeds.device, edit.target.embeds.dtype
    aligning = Alignment(upload(matrix, device), upload(aligned, device))  # once, where every site reads them
    words_share = partial(share, aligning, upload(factor, device), dtype)

    def layout(attn: SiteCall) -> None:
        """The source's maps over the target's values: softmax(q k) of the source, without making it."""
        if attn.q.shape[-2] <= self_tokens:
            for source, target in attn.pairs("source", "target", role="cond"):
                attn.q[target], attn.k[target] = attn.q[source], attn.k[source]

    until = (Sharing(upload(each, device)) for each in (others, named))
    return *(partial(words_share, window) for window in until), layout


def share(aligning: Alignment, factor: Tensor, dtype: torch.dtype, window: Sharing, attn: SiteCall) -> None:
    """Let target tokens in the window attend as the source's do; the others' maps stay as they are.

    In the window p_target becomes factor * (p @ matrix + (1 - aligned) * p_target), where p are the source's maps.

    factor: weights of words  # [target tokens]
    dtype: the network's precision, which maps are mixed with even where it makes them in a higher one
    """
    shared = window.at(attn.progress)  # [target tokens]
    theirs = (aligning.matrix * factor * shared).to(dtype)  # [source tokens, target tokens]
    own = ((1 - aligning.aligned) * factor * shared + (1 - shared)).to(dtype)  # [target tokens]
    for source, target in attn.pairs("source", "target", role="cond"):
        p, p_target = attn.probs[source], attn.probs[target]  # [heads, queries, tokens]
        attn.probs[target] = p @ theirs.to(p) + p_target * own.to(p)
