"""Prompts to tokens, tokens to embeddings: the text encoders that families are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from retouch.core.awaited.combinators import call
from retouch.core.device.transfer import upload_numbers
from retouch.core.values import Prompt
from retouch.core.words import places
from retouch.models.errors import BrokenModel
from retouch.models.kit.learnt_words import LearntReading, with_learnt
from retouch.models.prompts.tokens import PromptTokenizer, Tokens, heard

NO_WORDS: Mapping[str, Tensor] = MappingProxyType({})


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

    async def __call__(self, text: str, learnt: Mapping[str, Tensor] = NO_WORDS) -> Encoded:
        """Encode a prompt.  learnt: words that are read as vectors [n, d]"""
        tokens, cut = self.words.tokenize(text), self.words.reading.cut
        if said := {word: vectors for word, vectors in learnt.items() if places(word, text)}:
            return await self._encoded_with(text, said)
        mask = [int(i < tokens.real) for i in range(len(tokens.ids))]
        item = upload_numbers([tokens.ids, mask], torch.int64, next(self.model.parameters()).device)
        made: Any = await call(self.batch, item)
        embeds, pooled = made if isinstance(made, tuple) else (made, None)
        return Encoded(embeds[cut:], pooled, tokens.without(cut), item[1, cut:].bool())

    async def _encoded_with(self, text: str, learnt: Mapping[str, Tensor]) -> Encoded:
        """Encode a prompt that names learnt words."""
        tokens, where = with_learnt(self.words, text, {word: len(vectors) for word, vectors in learnt.items()})
        embeddings, cut = self.model.get_input_embeddings(), self.words.reading.cut
        made: Any = await call(
            LearntReading(self.batch, embeddings, tokens, where),
            torch.cat([vectors.to(embeddings.weight) for vectors in learnt.values()]),
        )
        embeds, pooled = made if isinstance(made, tuple) else (made, None)
        mask = torch.arange(len(tokens.ids), device=embeds.device) < tokens.real
        numbered = replace(tokens, ids=tuple(-1 - where[i] if i in where else id_ for i, id_ in enumerate(tokens.ids)))
        return Encoded(embeds[cut:], pooled, numbered.without(cut), mask[cut:])

    def vectors(self, text: str) -> Tensor:
        """Return what stands for the tokens of a text in the vocabulary.  [tokens, d]"""
        tokens, table = self.words.tokenize(text), self.model.get_input_embeddings().weight
        ids = [id_ for id_, (start, end) in zip(tokens.ids, tokens.spans, strict=True) if start < end]
        return table[upload_numbers(ids, torch.int64, table.device)].detach()

    def batch(self, items: Tensor) -> Any:
        """Encode a batch of ids and masks.  [B, 2, n] -> [B, n, d], with [B, p] where something is pooled"""
        return self.read(self.model, items[:, 0], items[:, 1])


@dataclass(frozen=True, eq=False)
class Texts:
    """A family's encoders, as stages await them: `join` makes one prompt of what each of them reads.

    learnt: words that are read as vectors, [n, d] for each encoder.
    """

    encoders: Sequence[Encoder]
    join: Callable[..., Prompt]
    learnt: Mapping[str, Sequence[Tensor]] = field(default_factory=dict[str, Sequence[Tensor]])

    async def prompt(self, text: str) -> Prompt:
        """Encode a text."""
        said: list[Any] = []
        for i, encoder in enumerate(self.encoders):
            own = {word: vectors[i] for word, vectors in self.learnt.items()}  # each has learnt vectors of its own
            said.append(await encoder(text, own))
        return self.join(text, *said)

    def heard(self, text: str) -> Tokens:
        """Return what is read of a text, without encoding it: by all encoders, and dropped by every one of them."""
        return heard(text, [encoder.words for encoder in self.encoders])

    def vectors(self, text: str) -> list[Tensor]:
        """Return what stands for the tokens of a text in the vocabulary of each encoder.  [tokens, d] of each"""
        return [encoder.vectors(text) for encoder in self.encoders]

    def knowing(self, word: str, vectors: Sequence[Tensor]) -> Texts:
        """Return the same, which reads a word as these vectors, [n, d] for each encoder."""
        return replace(self, learnt={**self.learnt, word: tuple(vectors)})


def alone(text: str, read: Encoded) -> Prompt:
    """Make a prompt of what a single encoder says."""
    return Prompt(text, read.embeds, read.tokens.spans, read.tokens.ids)


def clip_last(model: Any, ids: Tensor, mask: Tensor) -> Tensor:
    """Read CLIP's last layer, after its final norm.  [B, tokens] twice -> [B, tokens, dim]"""
    return model(ids).last_hidden_state


def clip_last_and_pooled(model: Any, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Read CLIP's last layer, [B, tokens, dim], and the state at the end of the text, [B, dim]."""
    out = model(ids)
    return out.last_hidden_state, out.pooler_output


def clip_inner(model: Any, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Read CLIP's last layer but one, without norm, and what is pooled: projected where the model projects.

    ids, mask: Tensor  # [B, tokens].  Returns [B, tokens, dim] and [B, projected or dim]
    """
    out = model(ids, output_hidden_states=True)
    projected = getattr(out, "text_embeds", None)
    return out.hidden_states[-2], out.pooler_output if projected is None else projected


def t5(model: Any, ids: Tensor, mask: Tensor) -> Tensor:
    """Read T5's encoder without a mask, as diffusers' pipelines do.  [B, tokens] twice -> [B, tokens, dim]"""
    return model(ids)[0]


@lru_cache
def layers(*which: int) -> Callable[[Any, Tensor, Tensor], Tensor]:
    """Read hidden states of a language model, side by side.  [B, tokens] twice -> [B, tokens, layers * dim]"""

    def read(model: Any, ids: Tensor, mask: Tensor) -> Tensor:
        out = model(input_ids=ids, attention_mask=mask, output_hidden_states=True, use_cache=False)
        return torch.cat([out.hidden_states[i] for i in which], -1)

    return read


def wide(tokens: Tensor, width: int) -> Tensor:
    """Fill embeddings with zeros to a width.  [tokens, dim] -> [tokens, width]"""
    return F.pad(tokens, (0, width - tokens.shape[-1]))
