"""Tokenizers of vocab.json and merges.txt, as their libraries build them: CLIP's, and Qwen's.  No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# What they make a prompt of before they look for pairs.
_CLIP_PIECES = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
_QWEN_PIECES = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_START, _END = "<|startoftext|>", "<|endoftext|>"
_WORD_END = "</w>"  # behind the last piece of a word, in CLIP's vocabulary alone


def of_pairs(words: Mapping[str, int], pairs: Sequence[tuple[str, str]], marks: Sequence[str]) -> Tokenizer:
    """Make the tokenizer whose vocabulary this is; marks: tokens that are never cut, in the order of their ids."""
    return clip(words, pairs) if any(word.endswith(_WORD_END) for word in words) else _qwen(words, pairs, marks)


def clip(words: Mapping[str, int], pairs: Sequence[tuple[str, str]]) -> Tokenizer:
    """Make CLIP's tokenizer, which lowers capitals and puts a start and an end."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

    # CLIP reads what it does not know as the end of a text.
    made = Tokenizer(models.BPE(dict(words), list(pairs), end_of_word_suffix=_WORD_END, unk_token=_END))
    made.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_CLIP_PIECES), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    _know(made, (_START, _END))
    made.post_processor = processors.RobertaProcessing(
        (_END, made.token_to_id(_END) or 0),
        (_START, made.token_to_id(_START) or 0),
        trim_offsets=False,
        add_prefix_space=False,
    )
    return made


def _qwen(words: Mapping[str, int], pairs: Sequence[tuple[str, str]], marks: Sequence[str]) -> Tokenizer:
    """Make Qwen's tokenizer: pairs of bytes, with the blank before a word, and nothing round the text."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

    made = Tokenizer(models.BPE(dict(words), list(pairs)))
    made.normalizer = normalizers.NFC()
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_QWEN_PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    _know(made, (*marks, _END))
    return made


def _know(made: Tokenizer, marks: Sequence[str]) -> None:
    from tokenizers import AddedToken

    made.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in marks])
