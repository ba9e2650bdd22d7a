"""Prompts to tokens, tokens to embeddings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from transformers import CLIPTextModel, CLIPTokenizer


@dataclass(frozen=True, slots=True)
class Tokens:
    """A prompt as the encoder reads it: start, words, end, padding; all of these as long as the encoder's input."""

    ids: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]  # of each token in the prompt; (0, 0) for start, end and padding
    pieces: tuple[str, ...]  # the text of each span
    dropped: str  # what of the prompt does not fit, from the first word that is not read whole

    @property
    def read(self) -> int:
        """How many tokens of the prompt itself are read."""
        return sum(start < end for start, end in self.spans)


@dataclass(frozen=True, slots=True)
class ClipTextEncoder:
    """CLIP's text model: one embedding per token, from the last layer and its final norm."""

    model: CLIPTextModel
    tokenizer: CLIPTokenizer
    length: int  # tokens, with both ends

    def tokenize(self, text: str) -> Tokens:
        """Cut a prompt into tokens, and say what was cut off."""
        whole = self.tokenizer(text, return_offsets_mapping=True, verbose=False)
        ids, spans = list(whole["input_ids"]), [(start, end) for start, end in whole["offset_mapping"]]
        dropped = ""
        if len(ids) > self.length:
            dropped = text[_word_at(text, spans[self.length - 1][0]) :].strip()
            ids, spans = [*ids[: self.length - 1], ids[-1]], [*spans[: self.length - 1], (0, 0)]
        short = self.length - len(ids)
        ids += [self.tokenizer.pad_token_id] * short
        spans += [(0, 0)] * short
        return Tokens(tuple(ids), tuple(spans), tuple(text[start:end] for start, end in spans), dropped)

    def encode(self, ids: Tensor) -> Tensor:
        """[B, n] -> [B, n, d]"""
        return self.model(ids).last_hidden_state


def _word_at(text: str, place: int) -> int:
    """Where the word begins that stands at a place of the text; the place itself, if none is cut there."""
    if not text[place : place + 1].isalnum():
        return place
    return place - len(re.search(r"\w*$", text[:place])[0])  # pyright: ignore[reportOptionalSubscript]: matches always
