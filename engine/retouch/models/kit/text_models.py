"""The text models that several families read prompts with, loaded and ready: CLIP, T5, Qwen3."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from retouch.models.family import Loading
from retouch.models.kit.encoders import Encoder, PromptTokenizer, clip_last, t5

_BEFORE, _AFTER = "<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n"  # of Qwen's chat template
_NO_THOUGHT = "<think>\n\n</think>\n\n"


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
        PromptTokenizer(parts.tokenizer(f"tokenizer{number}", CLIPTokenizer), tokens),
        read,
    )


def t5_encoder(parts: Loading, tokens: int, number: str = "", read: Callable[..., Any] = t5) -> Encoder:
    """Load T5's encoder, as `clip_encoder` loads CLIP."""
    from transformers import T5Config, T5EncoderModel

    return Encoder(
        parts.transformers(T5EncoderModel, T5Config, f"text_encoder{number}"),
        PromptTokenizer(parts.tokenizer(f"tokenizer{number}"), tokens),
        read,
    )


def qwen3_encoder(
    parts: Loading, read: Callable[..., Any], *, length: int = 0, most: int = 512, thinks: bool = True
) -> Encoder:
    """Load Qwen3, which is told a prompt as a user's turn of a chat.

    length, most: tokens, as PromptTokenizer has them.
    thinks: whether its answer is left open; False puts an empty thought before it, where its template has thoughts.
    """
    from transformers import Qwen2Tokenizer, Qwen3Config, Qwen3ForCausalLM

    words = parts.tokenizer("tokenizer", Qwen2Tokenizer)
    after = _AFTER + ("" if thinks or "<think>" not in words.get_vocab() else _NO_THOUGHT)
    return Encoder(
        parts.transformers(Qwen3ForCausalLM, Qwen3Config, "text_encoder"),
        PromptTokenizer(words, length, most=most, before=_BEFORE, after=after),
        read,
    )
