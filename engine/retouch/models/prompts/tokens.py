"""A prompt as a model reads it: cut into tokens, as many as its encoders take.  No torch."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, replace
from typing import Any

Spans = tuple[tuple[int, int], ...]
_ENDS = 2  # tokens that a tokenizer itself puts round a prompt


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
class PromptReading:
    """How much of a prompt one encoder is given, and what a template puts round it.

    length: tokens that the model is always given; 0: as many as the prompt has, in multiples of `bucket`, up to `most`.
    before, after: what a template puts round the text.
    thought: what it puts behind that for vocabularies that know the first word of it.
    cut: the tokens of the template's beginning that the denoiser is not given.
    """

    length: int = 0
    bucket: int = 32
    most: int = 512
    before: str = ""
    after: str = ""
    thought: str = ""
    cut: int = 0

    @property
    def limit(self) -> int:
        """Tokens of a prompt and its template, at most."""
        return self.length or self.most + self.cut

    def fits(self, text: str) -> bool:
        """Whether a text is so short that no vocabulary has to be asked: a token has a letter at least."""
        round_it = len(self.before) + len(self.after) + len(self.thought) + _ENDS
        return text.isascii() and len(text) + round_it <= self.limit

    def among(self, words: Callable[[], Container[str]]) -> PromptReading:
        """The same for a vocabulary, with its thought in place."""
        if not self.thought:
            return self
        known = self.thought.split(maxsplit=1)[0] in words()
        return replace(self, after=self.after + (self.thought if known else ""), thought="")


@dataclass(frozen=True, slots=True)
class PromptTokenizer:
    """One encoder's tokenizer, and how it is used."""

    tokenizer: Any
    reading: PromptReading

    @classmethod
    def of(cls, tokenizer: Any, reading: PromptReading) -> PromptTokenizer:
        """A tokenizer of transformers, whose vocabulary decides what the template has."""
        return cls(tokenizer, reading.among(tokenizer.get_vocab))

    def tokenize(self, text: str) -> Tokens:
        """Cut a prompt into tokens, and say what was cut off."""
        how = self.reading
        whole = self.tokenizer(how.before + text + how.after, return_offsets_mapping=True, verbose=False)
        head, limit, dropped = len(how.before), how.limit, ""
        ids = list(whole["input_ids"])
        offsets = [(start - head, end - head) for start, end in whole["offset_mapping"]]
        spans = [_inside(start, end, text) for start, end in offsets]
        if len(ids) > limit:
            # What ends a text for the model stays: the tokens behind the last that stands for characters of the prompt.
            # A token of blanks alone is the prompt's, though it spells nothing.
            own = [i for i, (start, end) in enumerate(offsets) if max(start, 0) < min(end, len(text))]
            closing = len(offsets) - 1 - max(own, default=len(offsets) - 1)
            dropped = text[_word_at(text, spans[limit - closing][0]) :].strip()
            ids = [*ids[: limit - closing], *ids[len(ids) - closing :]]
            spans = [*spans[: limit - closing], *[(0, 0)] * closing]
        # Filled up to a number of its own, so that what it becomes does not depend on who shares the call
        how = self.reading
        real, buckets = len(ids), -(-(len(ids) - how.cut) // how.bucket)  # rounded up
        short = (how.length or how.cut + buckets * how.bucket) - real
        ids += [self.tokenizer.pad_token_id] * short
        spans += [(0, 0)] * short
        return Tokens(tuple(ids), tuple(spans), tuple(text[start:end] for start, end in spans), dropped, real)


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
