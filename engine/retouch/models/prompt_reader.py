"""What a model reads of a prompt, told from its vocabularies alone: before anything loads, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retouch.models.clip_vocabulary import read_vocabulary
from retouch.models.errors import BrokenModel
from retouch.models.layout import TOKENIZER, read_json
from retouch.models.tokens import PromptTokenizer, Tokens, heard

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from retouch.models.info import ModelInfo

_WHOLE, _WORDS, _MERGES, *_ = TOKENIZER
# What CLIP's tokenizer makes a prompt of before it looks for pairs, as its library has it.
_PIECES = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
_START, _END = "<|startoftext|>", "<|endoftext|>"
_ENDS = 2  # tokens that begin and end a prompt


@dataclass(frozen=True)
class PromptReader:
    """The vocabularies of a model, each with the number of tokens that its encoder takes; they are read when asked."""

    places: Mapping[Path, int]

    def reads_whole(self, text: str) -> bool:
        """Whether a text is so short that no vocabulary has to be asked: a token has a letter at least."""
        return text.isascii() and len(text) + _ENDS <= max(self.places.values())

    def heard(self, text: str) -> Tokens:
        """Return what is read of a text, and what not, as the loaded encoders will.  Raises BrokenModel."""
        return heard(text, self._words)

    @cached_property
    def _words(self) -> list[PromptTokenizer]:
        return [PromptTokenizer(_Vocabulary(_tokenizer(*_dated(at))), length) for at, length in self.places.items()]


def prompt_reader(model: ModelInfo) -> PromptReader | None:
    """Return the reader of a model's prompts; None where only the loaded model knows, as behind a template."""
    reads = model.known.reads
    return PromptReader({model.files.folder(part): length for part, length in reads.items()}) if reads else None


class _Vocabulary:
    """A tokenizer as a `PromptTokenizer` calls it."""

    pad_token_id = 0  # padding is no news; which token it is does not matter here

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    def __call__(self, text: str, **_: Any) -> dict[str, Any]:
        read = self._tokenizer.encode(text)
        return {"input_ids": read.ids, "offset_mapping": read.offsets}


def _dated(place: Path) -> tuple[Path, int]:
    """A place, and when it was written: one that is made anew is read anew."""
    return place, max(file.stat().st_mtime_ns for file in (place, *(place.glob("*") if place.is_dir() else ())))


@lru_cache(maxsize=8)
def _tokenizer(place: Path, written: int) -> Tokenizer:
    """The tokenizer of a folder, or CLIP's of a file of its pairs.  Raises BrokenModel."""
    from tokenizers import Tokenizer

    if place.is_file():
        return _clip(*read_vocabulary(place))
    if not (place / _WHOLE).is_file():
        words = read_json(place, _WORDS)
        try:
            lines = (place / _MERGES).read_text(encoding="utf-8").splitlines()
            pairs = [(left, right) for left, right in map(str.split, lines) if left != "#version:"]
        except (OSError, ValueError) as why:
            raise BrokenModel(f"'{place / _MERGES}' cannot be read: {why}") from None
        return _clip(words, pairs)
    try:
        made = Tokenizer.from_file(str(place / _WHOLE))
    except Exception as why:  # the library raises nothing more special
        raise BrokenModel(f"'{place / _WHOLE}' cannot be read: {why}") from None
    made.no_truncation()
    made.no_padding()
    return made


def _clip(words: dict[str, int], pairs: list[tuple[str, str]]) -> Tokenizer:
    """CLIP's tokenizer over these words and pairs."""
    from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

    made = Tokenizer(models.BPE(vocab=words, merges=pairs, end_of_word_suffix="</w>", unk_token=_END))
    made.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    made.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in (_START, _END)])
    made.post_processor = processors.RobertaProcessing(
        (_END, made.token_to_id(_END) or 0),
        (_START, made.token_to_id(_START) or 0),
        trim_offsets=False,
        add_prefix_space=False,
    )
    return made
