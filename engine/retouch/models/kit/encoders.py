"""Prompts to tokens, tokens to embeddings: the text encoders that families are made of."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from retouch.core.combinators import call
from retouch.core.transfer import upload_numbers
from retouch.core.values import Prompt
from retouch.models.errors import BrokenModel
from retouch.models.tokens import Tokens


class Encoded(NamedTuple):
    """What one encoder makes of a prompt."""

    embeds: Tensor  # [tokens, dim]
    pooled: Tensor | None  # [dim]
    tokens: Tokens  # as many as `embeds`
    mask: Tensor  # [tokens], False at padding


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


@dataclass(frozen=True, eq=False)
class Encoder:
    """One text model, its tokenizer, and what is taken of its answer.

    read: (model, ids [B, n], mask [B, n]) -> hidden [B, n, d], or with what is pooled [B, p].
    """

    model: Any
    words: PromptTokenizer
    read: Callable[[Any, Tensor, Tensor], Any]

    def __post_init__(self) -> None:
        words, known = len(self.words.tokenizer), self.model.get_input_embeddings().num_embeddings
        if words > known:
            raise BrokenModel(f"the tokenizer has {words} words, the text encoder {known}")

    async def __call__(self, text: str) -> Encoded:
        """Encode a prompt."""
        tokens, cut = self.words.tokenize(text), self.words.cut
        mask = [int(i < tokens.real) for i in range(len(tokens.ids))]
        item = upload_numbers([tokens.ids, mask], torch.int64, next(self.model.parameters()).device)
        made: Any = await call(self.batch, item)
        embeds, pooled = made if isinstance(made, tuple) else (made, None)
        return Encoded(embeds[cut:], pooled, tokens.without(cut), item[1, cut:].bool())

    def batch(self, items: Tensor) -> Any:
        """Encode a batch of ids and masks.  [B, 2, n] -> [B, n, d], with [B, p] where something is pooled"""
        return self.read(self.model, items[:, 0], items[:, 1])


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


@dataclass(frozen=True, eq=False)
class Texts:
    """A family's encoders, as stages await them: `join` makes one prompt of what each of them reads."""

    encoders: Sequence[Encoder]
    join: Callable[..., Prompt]

    async def prompt(self, text: str) -> Prompt:
        """Encode a text."""
        return self.join(text, *[await encoder(text) for encoder in self.encoders])

    def heard(self, text: str) -> Tokens:
        """Return what is read of a text, without encoding it: by all encoders, and dropped by every one of them."""
        each = [encoder.words.tokenize(text) for encoder in self.encoders]
        farthest = min(each, key=lambda tokens: len(tokens.dropped))
        return replace(farthest, ids=tuple(id_ for tokens in each for id_ in tokens.ids))


def alone(text: str, read: Encoded) -> Prompt:
    """Make a prompt of what a single encoder says."""
    return Prompt(text, read.embeds, read.tokens.spans, read.tokens.ids)


def clip_last(model: Any, ids: Tensor, mask: Tensor) -> Tensor:
    """Read CLIP's last layer, after its final norm."""
    return model(ids).last_hidden_state


def clip_last_and_pooled(model: Any, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Read CLIP's last layer and the state at the end of the text."""
    out = model(ids)
    return out.last_hidden_state, out.pooler_output


def clip_inner(model: Any, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Read CLIP's last layer but one, without norm, and what is pooled: projected where the model projects."""
    out = model(ids, output_hidden_states=True)
    projected = getattr(out, "text_embeds", None)
    return out.hidden_states[-2], out.pooler_output if projected is None else projected


def t5(model: Any, ids: Tensor, mask: Tensor) -> Tensor:
    """Read T5's encoder without a mask, as diffusers' pipelines do."""
    return model(ids)[0]


@lru_cache
def layers(*which: int) -> Callable[[Any, Tensor, Tensor], Tensor]:
    """Read hidden states of a language model, side by side."""

    def read(model: Any, ids: Tensor, mask: Tensor) -> Tensor:
        out = model(input_ids=ids, attention_mask=mask, output_hidden_states=True, use_cache=False)
        return torch.cat([out.hidden_states[i] for i in which], -1)

    return read


def wide(tokens: Tensor, width: int) -> Tensor:
    """Fill embeddings with zeros to a width.  [tokens, dim] -> [tokens, width]"""
    return F.pad(tokens, (0, width - tokens.shape[-1]))
