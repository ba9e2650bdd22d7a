"""Words that a text encoder reads as vectors of their own.  Gal et al. 2023, arXiv:2208.01618.

Neither the vocabulary nor the table of embeddings grows: the text is cut into tokens with a plain word in the learnt
one's place, once for each of its vectors, and what the table gives at those tokens is replaced.  So what looks for the
end of a text among the tokens finds it where it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any

import torch
from torch import Tensor

from retouch.core.device.transfer import upload_numbers
from retouch.core.words import places
from retouch.models.prompts.tokens import PromptTokenizer, Tokens

_PLAIN = "a"  # which all vocabularies have as one token
_READING = Lock()  # runs of several threads may share an encoder


@dataclass(frozen=True, eq=False)
class LearntReading:
    """One text, as a function of the vectors of its words: what waits for it is read in one batch.

    read: ids and masks [B, 2, n] -> whatever the encoder says of them.
    where: of tokens, which vector stands there.
    """

    read: Callable[[Tensor], Any]
    embeddings: Any
    tokens: Tokens
    where: Mapping[int, int]

    def __call__(self, vectors: Tensor) -> Any:
        """[B, k, d] -> the encoder's answer for each"""
        mask = [int(i < self.tokens.real) for i in range(len(self.tokens.ids))]
        item = upload_numbers([self.tokens.ids, mask], torch.int64, vectors.device)
        at, which = upload_numbers([[*self.where], [*self.where.values()]], torch.int64, vectors.device)

        def replaced(_layer: Any, _ids: Any, out: Tensor) -> Tensor:
            return out.index_copy(1, at, vectors[:, which])

        with _READING:
            handle = self.embeddings.register_forward_hook(replaced)
            try:
                return self.read(item.expand(len(vectors), -1, -1))
            finally:
                handle.remove()


def with_learnt(words: PromptTokenizer, text: str, counts: Mapping[str, int]) -> tuple[Tokens, dict[int, int]]:
    """Cut a text that names learnt words into tokens; which of them stand for which vector, all words' in a row.

    counts: how many vectors each word has.  Spans are of the text as it was given.
    """
    sums, total = [], 0
    for count in counts.values():
        sums.append(total)
        total += count
    first = dict(zip(counts, sums, strict=True))
    found = _apart(sorted((start, end, word) for word in counts for start, end in places(word, text)))
    plain, moved = "", list[tuple[int, int, int, int, str]]()  # in the plain text, and in the one that was given
    last = 0
    for start, end, word in found:
        plain += text[last:start]
        stand_in = " ".join([_PLAIN] * counts[word])
        stand_in = (" " if plain[-1:].isalnum() else "") + stand_in + (" " if text[end : end + 1].isalnum() else "")
        moved.append((len(plain), len(plain) + len(stand_in), start, end, word))
        plain, last = plain + stand_in, end
    tokens = words.tokenize(plain + text[last:])
    where: dict[int, int] = {}
    taken = dict.fromkeys(range(len(moved)), 0)
    spans: list[tuple[int, int]] = []
    for i, (a, b) in enumerate(tokens.spans):
        spans.append((a, b))
        if a >= b:
            continue
        shift = 0
        for k, (begin, stop, start, end, word) in enumerate(moved):
            if begin <= a and b <= stop:
                where[i] = first[word] + taken[k]
                taken[k] += 1
                spans[-1] = (start, end)
                break
            shift += (end - start) - (stop - begin) if stop <= a else 0
        else:
            spans[-1] = (a + shift, b + shift)
    return replace(tokens, spans=tuple(spans), pieces=tuple(text[a:b] for a, b in spans)), where


def _apart(found: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """Places that do not overlap, of those that do the first and longest."""
    kept: list[tuple[int, int, str]] = []
    for start, end, word in sorted(found, key=lambda each: (each[0], -each[1])):
        if not kept or start >= kept[-1][1]:
            kept.append((start, end, word))
    return kept
