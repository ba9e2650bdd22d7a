"""Prompts to tokens, tokens to embeddings: the text encoders that families are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from retouch.core.combinators import call
from retouch.core.transfer import upload_numbers
from retouch.core.values import Prompt
from retouch.models.errors import BrokenModel
from retouch.models.tokens import PromptTokenizer, Tokens, heard


class Encoded(NamedTuple):
    """What one encoder makes of a prompt."""

    embeds: Tensor  # [tokens, dim]
    pooled: Tensor | None  # [dim]
    tokens: Tokens  # as many as `embeds`
    mask: Tensor  # [tokens], False at padding


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
        return heard(text, [encoder.words for encoder in self.encoders])


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
