"""A learnt word as a file, in the key format of diffusers' textual inversion.  Gal et al. 2023, arXiv:2208.01618.

Of one encoder the word itself is the key of its vectors [n, d]; of two, "clip_l" and "clip_g" are, and the file does
not say the word.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from retouch.core.awaited.resources import TextEncoder

KEYS = ("clip_l", "clip_g")  # of the first and the second encoder, where there are two
OTHERS = "emb_params"  # what other programs call the vectors of one encoder


def word_tensors(texts: TextEncoder) -> dict[str, Tensor]:
    """The word that a text encoder has learnt last.  Raises ValueError where it has learnt none."""
    if not texts.learnt:
        raise ValueError("this text encoder has learnt no word")
    word, vectors = [*texts.learnt.items()][-1]
    names = (word,) if len(vectors) == 1 else KEYS
    return {name: each.detach().cpu().contiguous() for name, each in zip(names, vectors, strict=True)}


def keys_of(names: Sequence[str], encoders: int, word: str) -> tuple[str, tuple[str, ...]] | None:
    """The word of a file and the names of its vectors, encoder by encoder; None where it has no such.

    word: what it is to be called; empty for what the file calls it.
    """
    if encoders == len(KEYS):
        return (word, KEYS) if set(names) == set(KEYS) else None
    if len(names) != 1 or encoders != 1:
        return None
    return word or ("" if names[0] == OTHERS else names[0]), (names[0],)


def read_word(tensors: Mapping[str, Tensor], encoders: int, word: str) -> tuple[str, list[Tensor]]:
    """The word, and its vectors [n, d] for each encoder.  Raises ValueError for a file that has no such."""
    found = keys_of([*tensors], encoders, word)
    if found is None:
        raise ValueError("it holds no learnt word")
    called, names = found
    return called, [tensors[name].reshape(-1, tensors[name].shape[-1]) for name in names]
