"""A prompt as a model reads it: cut into tokens, as many as its encoders take.  No torch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

Spans = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Tokens:
    """A prompt as an encoder reads it: what precedes it, its words, what follows, padding."""

    ids: tuple[int, ...]
    spans: Spans  # of each token in the prompt; (0, 0) for tokens that spell nothing of it
    pieces: tuple[str, ...]  # the text of each span
    dropped: str  # what of the prompt does not fit, from the first word that is not read whole
    real: int  # tokens before the padding

    @property
    def read(self) -> int:
        """How many tokens of the prompt itself are read."""
        return sum(start < end for start, end in self.spans)

    def without(self, cut: int) -> Tokens:
        """The same without its first tokens."""
        return Tokens(self.ids[cut:], self.spans[cut:], self.pieces[cut:], self.dropped, self.real - cut)


@dataclass(frozen=True, slots=True)
class PromptTokenizer:
    """How one encoder's tokenizer is used.

    length: tokens that the model is always given; 0: as many as the prompt has, in multiples of `bucket`, up to `most`.
    before, after: what a template puts round the text.
    cut: the tokens of the template's beginning that the denoiser is not given.
    """

    tokenizer: Any
    length: int = 0
    bucket: int = 32
    most: int = 512
    before: str = ""
    after: str = ""
    cut: int = 0

    def tokenize(self, text: str) -> Tokens:
        """Cut a prompt into tokens, and say what was cut off."""
        whole = self.tokenizer(self.before + text + self.after, return_offsets_mapping=True, verbose=False)
        head, limit, dropped = len(self.before), self.length or self.most + self.cut, ""
        ids = list(whole["input_ids"])
        offsets = [(start - head, end - head) for start, end in whole["offset_mapping"]]
        spans = [_inside(start, end, text) for start, end in offsets]
        if len(ids) > limit:
            # What ends a text for the model stays.  A token of blanks alone is the prompt's, though it spells nothing.
            closing = _closing([(max(start, 0), min(end, len(text))) for start, end in offsets])
            dropped = text[_word_at(text, spans[limit - closing][0]) :].strip()
            ids = [*ids[: limit - closing], *ids[len(ids) - closing :]]
            spans = [*spans[: limit - closing], *[(0, 0)] * closing]
        real, short = len(ids), self._padded(len(ids)) - len(ids)
        ids += [self.tokenizer.pad_token_id] * short
        spans += [(0, 0)] * short
        return Tokens(tuple(ids), tuple(spans), tuple(text[start:end] for start, end in spans), dropped, real)

    def _padded(self, tokens: int) -> int:
        """A number of the prompt's own, so that what it becomes does not depend on who shares the call."""
        return self.length or self.cut + -(-(tokens - self.cut) // self.bucket) * self.bucket


def heard(text: str, words: Iterable[PromptTokenizer]) -> Tokens:
    """What is read of a text by any of several encoders, and dropped by every one of them; the ids are of all."""
    each = [one.tokenize(text) for one in words]
    farthest = min(each, key=lambda tokens: len(tokens.dropped))
    return replace(farthest, ids=tuple(id_ for tokens in each for id_ in tokens.ids))


def _inside(start: int, end: int, text: str) -> tuple[int, int]:
    """A token's characters of the prompt, without the blank that it begins with; a template's token has none."""
    start, end = max(start, 0), min(end, len(text))
    while start < end and text[start].isspace():
        start += 1
    return (start, end) if start < end else (0, 0)


def _word_at(text: str, place: int) -> int:
    """Where the word begins that stands at a place of the text; the place itself, if none is cut there."""
    if not text[place : place + 1].isalnum():
        return place
    return place - len(re.search(r"\w*$", text[:place])[0])  # pyright: ignore[reportOptionalSubscript]: matches always


def _closing(spans: Sequence[tuple[int, int]]) -> int:
    """How many tokens follow the last that stands for characters of the prompt."""
    last = max((i for i, (start, end) in enumerate(spans) if start < end), default=len(spans) - 1)
    return len(spans) - 1 - last
