"""Which token of the source each token of the target stands for.  Hertz et al. 2022, arXiv:2208.01626, section 3.2.

Prompts are their tokens, with spans and ids: what precedes the words (a start, a template, nothing), the words, then
the end and padding.  Where encoders stand one after the other, each reads the whole text, and is aligned with itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from retouch.api import Prompt

How = Literal["auto", "replace", "refine", "replace_official", "refine_official"]


class Alignment(NamedTuple):
    """What the target's maps are made of: the source's maps @ matrix, or for new tokens their own.

    matrix: Tensor  # [source tokens, target tokens], zero in the columns of new tokens
    aligned: Tensor  # [target tokens], 0 for new tokens, 1 for the others
    """

    matrix: Tensor
    aligned: Tensor


def alignment(source: Prompt, target: Prompt, how: How) -> Alignment:
    """Align the tokens of two prompts, word by word ("replace") or as two sequences ("refine")."""
    parts = [_aligned(*pair, how) for pair in zip(_as_read(source), _as_read(target), strict=True)]
    if len(parts) == 1:
        return parts[0]
    return Alignment(torch.block_diag(*(part.matrix for part in parts)), torch.cat([part.aligned for part in parts]))


def _as_read(prompt: Prompt) -> list[Prompt]:
    """The prompt as each of the encoders reads it."""
    ends = accumulate(prompt.segments or (len(prompt.spans),), initial=0)
    return [replace(prompt, spans=prompt.spans[a:b], ids=prompt.ids[a:b], segments=()) for a, b in pairwise(ends)]


def _aligned(source: Prompt, target: Prompt, how: How) -> Alignment:
    before, after = _words(source), _words(target)
    if how.startswith("refine") or (how == "auto" and len(before) != len(after)):
        matrix = _refine(source, target, official=how == "refine_official")
        return Alignment(matrix, matrix.sum(0))
    if len(before) != len(after):
        raise ValueError(
            f"'replace' swaps word for word, and the prompts have {len(before)} and {len(after)} words; "
            'write as many words in both, or use align="refine"'
        )
    matrix = _replace(source, target, official=how == "replace_official")
    return Alignment(matrix, torch.ones(len(target.spans)))


def tokens_of(prompt: Prompt, words: str) -> list[int]:
    """Where the prompt has these words; one that the model does not read so far is refused."""
    found = prompt.positions(words)
    if not found:
        raise ValueError(f"the model reads no '{words}' in the target prompt '{prompt.text}'")
    return list(found)


def _replace(source: Prompt, target: Prompt, *, official: bool) -> Tensor:
    """Word n for word n: token for token where they have as many, else each spread evenly over all of the other's.

    Returns [source tokens, target tokens].

    official: after the last word that differs, the authors' code aligns by position, whatever the lengths before.
    """
    matrix = torch.zeros(len(source.spans), len(target.spans))
    pairs = list(zip(_words(source), _words(target), strict=True))
    while pairs and pairs[-1][0][0] == pairs[-1][1][0]:
        pairs.pop()  # what follows the last word that differs is the tail
    i, j = _head(matrix, source, target)
    for (_, old), (_, new) in pairs:
        if not (old and new):
            continue  # beyond what the model reads
        n, m = len(old), len(new)
        matrix[torch.tensor(old)[:, None], torch.tensor(new)] = torch.eye(n) if n == m else torch.ones(n, m) / m
        i, j = old[-1] + 1, new[-1] + 1
    for between in range(j):  # a token of no word, such as a lone blank
        if not matrix[:, between].any():
            matrix[min(between, len(source.spans) - 1), between] = 1
    tail = torch.arange(j, len(target.spans))
    if official:
        tail = tail[: len(source.spans) - i]
        matrix[tail, tail] = 1
    else:
        matrix[(tail + i - j).clamp(max=len(source.spans) - 1), tail] = 1
    return matrix


def _head(matrix: Tensor, source: Prompt, target: Prompt) -> tuple[int, int]:
    """Align what precedes the words, the last of it with the last, and return where the words begin in both.

    matrix: Tensor  # [source tokens, target tokens], written in place
    """
    i, j = (min(spelt(prompt), default=1) for prompt in (source, target))
    for back in range(1, j + 1 if i else 1):
        matrix[max(i - back, 0), j - back] = 1
    return i, j


def _refine(source: Prompt, target: Prompt, *, official: bool) -> Tensor:
    """Tokens that both have, in order; the end to the end, and padding to the padding at its place.

    Returns [source tokens, target tokens].

    official: padding to whatever stands at its place, where the source is longer to its end and its last words.
    """
    matrix = torch.zeros(len(source.spans), len(target.spans))
    before, after = spelt(source), spelt(target)
    _head(matrix, source, target)
    for j, i in _needleman_wunsch(*_tokens(source, target)):
        matrix[before[i], after[j]] = 1
    end_before, end_after = max(before, default=0) + 1, max(after, default=0) + 1
    if end_before < len(source.spans) and end_after < len(target.spans):  # else the text fills all that is read
        matrix[end_before, end_after] = 1
        padding = torch.arange(end_after + 1, len(target.spans))
        least = 0 if official else min(end_before + 1, len(source.spans) - 1)
        matrix[padding.clamp(least, len(source.spans) - 1), padding] = 1
    return matrix


def _needleman_wunsch(x: Sequence[object], y: Sequence[object]) -> list[tuple[int, int]]:
    """(place in y, place in x) of what is the same: gap 0, match 1, mismatch -1; ties go left, then up."""
    score = [[0] * (len(y) + 1) for _ in range(len(x) + 1)]
    for i, a in enumerate(x, 1):
        for j, b in enumerate(y, 1):
            score[i][j] = max(score[i][j - 1], score[i - 1][j], score[i - 1][j - 1] + (1 if a == b else -1))
    same: list[tuple[int, int]] = []
    i, j = len(x), len(y)
    while i and j:
        if score[i][j] == score[i][j - 1]:
            j -= 1
        elif score[i][j] == score[i - 1][j]:
            i -= 1
        else:
            i, j = i - 1, j - 1
            same.append((j, i))
    return same


def _words(prompt: Prompt) -> list[tuple[str, list[int]]]:
    """What stands between blanks, and which tokens each has."""
    found = [(m[0].casefold(), *m.span()) for m in re.finditer(r"\S+", prompt.text)]
    places = spelt(prompt)
    return [(word, [i for i in places if prompt.spans[i][0] < e and s < prompt.spans[i][1]]) for word, s, e in found]


def spelt(prompt: Prompt) -> list[int]:
    """The tokens that spell something."""
    return [i for i, (start, end) in enumerate(prompt.spans) if start < end]


def _tokens(*prompts: Prompt) -> list[list[int]] | list[list[str]]:
    """What the tokens that stand for words are compared by: their ids, or where an encoder gives none, their text.

    The same letters may be two tokens: the word "in" is one, and "in" at the beginning of a longer word another.
    """
    if all(prompt.ids for prompt in prompts):
        return [[id_ for id_, (a, b) in zip(each.ids, each.spans, strict=True) if a < b] for each in prompts]
    return [[each.text[a:b].casefold() for a, b in each.spans if a < b] for each in prompts]
