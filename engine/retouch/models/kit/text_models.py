"""The text models that several families read prompts with, loaded and ready: CLIP, T5, Qwen3."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from retouch.models.family import Loading
from retouch.models.kit.encoders import Encoder, clip_last, t5
from retouch.models.prompts.tokens import PromptReading, PromptTokenizer


def clip_encoder(
    parts: Loading,
    tokens: int,
    number: str = "",
    read: Callable[..., Any] = clip_last,
    *,
    projects: bool = False,
) -> Encoder:
    """Load a text model of CLIP.

    tokens: that it is always given; number: "", "_2" or "_3", behind the names of its folders.
    read: what is taken of its answer.
    projects: whether its class projects what it pools.
    """
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

    kind = CLIPTextModelWithProjection if projects else CLIPTextModel
    return Encoder(
        parts.transformers(kind, CLIPTextConfig, f"text_encoder{number}"),
        PromptTokenizer(parts.tokenizer(f"tokenizer{number}", CLIPTokenizer), PromptReading(tokens)),
        read,
    )


def t5_encoder(parts: Loading, tokens: int, number: str = "", read: Callable[..., Any] = t5) -> Encoder:
    """Load T5's encoder, as `clip_encoder` loads CLIP."""
    from transformers import T5Config, T5EncoderModel

    return Encoder(
        parts.transformers(T5EncoderModel, T5Config, f"text_encoder{number}"),
        PromptTokenizer(parts.tokenizer(f"tokenizer{number}"), PromptReading(tokens)),
        read,
    )


def qwen3_encoder(parts: Loading, read: Callable[..., Any], reading: PromptReading) -> Encoder:
    """Load Qwen3, which is told a prompt as a user's turn of a chat: `reading` is made by `chat`."""
    from transformers import Qwen2Tokenizer, Qwen3Config, Qwen3ForCausalLM

    return Encoder(
        parts.transformers(Qwen3ForCausalLM, Qwen3Config, "text_encoder"),
        PromptTokenizer.of(parts.tokenizer("tokenizer", Qwen2Tokenizer), reading),
        read,
    )
