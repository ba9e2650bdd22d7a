"""What language models are told round a prompt.  No torch: recipes are checked with it."""

from __future__ import annotations

from retouch.models.prompts.tokens import PromptReading

_BEFORE, _AFTER = "<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n"  # of Qwen's chat
_NO_THOUGHT = "<think>\n\n</think>\n\n"


def qwen_chat(*, length: int = 0, most: int = 512, thinks: bool = True) -> PromptReading:
    """Return how Qwen3 is told a prompt: as a user's turn of a chat.

    length, most: tokens, as PromptReading has them.
    thinks: whether its answer is left open; False puts an empty thought before it, where its vocabulary has thoughts.
    """
    return PromptReading(length, most=most, before=_BEFORE, after=_AFTER, thought="" if thinks else _NO_THOUGHT)
