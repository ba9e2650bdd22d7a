"""What a model reads of a prompt, told from its vocabularies alone: before anything loads, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retouch.models.errors import BrokenModel
from retouch.models.files.layout import TOKENIZER, read_json
from retouch.models.prompts.byte_pairs import clip, of_pairs
from retouch.models.prompts.clip_vocabulary import read_vocabulary
from retouch.models.prompts.tokens import PromptReading, PromptTokenizer, Tokens, heard

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from retouch.models.info import ModelInfo

_WHOLE, _WORDS, _MERGES, _SETTINGS, *_ = TOKENIZER


@dataclass(frozen=True)
class PromptReader:
    """The vocabularies of a model, each with how its encoder is given a prompt; they are read when asked."""

    places: Mapping[Path, PromptReading]

    def reads_whole(self, text: str) -> bool:
        """Whether a text is so short that no vocabulary has to be asked."""
        return any(reading.fits(text) for reading in self.places.values())

    def heard(self, text: str) -> Tokens:
        """Return what is read of a text, and what not, as the loaded encoders will.  Raises BrokenModel."""
        return heard(text, self._words)

    @cached_property
    def _words(self) -> list[PromptTokenizer]:
        words = {at: _tokenizer(*_dated(at)) for at in self.places}
        return [
            PromptTokenizer(_Vocabulary(words[at]), reading.among(words[at].get_vocab))
            for at, reading in self.places.items()
        ]


def prompt_reader(model: ModelInfo) -> PromptReader | None:
    """Return the reader of a model's prompts; None where its family does not say how they are read."""
    reads = model.known.reads
    return PromptReader({model.files.folder(part): reading for part, reading in reads.items()}) if reads else None


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
        return clip(*read_vocabulary(place))
    if not (place / _WHOLE).is_file():
        words = read_json(place, _WORDS)
        try:
            lines = (place / _MERGES).read_text(encoding="utf-8").splitlines()
            pairs = [(left, right) for left, right in map(str.split, lines) if left != "#version:"]
        except (OSError, ValueError) as why:
            raise BrokenModel(f"'{place / _MERGES}' cannot be read: {why}") from None
        return of_pairs(words, pairs, _marks(place))
    try:
        made = Tokenizer.from_file(str(place / _WHOLE))
    except Exception as why:  # the library raises nothing more special
        raise BrokenModel(f"'{place / _WHOLE}' cannot be read: {why}") from None
    made.no_truncation()
    made.no_padding()
    return made


def _marks(place: Path) -> list[str]:
    """The tokens that a folder adds to its vocabulary, by their ids."""
    said = read_json(place, _SETTINGS) if (place / _SETTINGS).is_file() else {}
    match said.get("added_tokens_decoder", {}):
        case dict(added) if all(isinstance(each, dict) and "content" in each for each in added.values()):
            return [str(each["content"]) for _, each in sorted(added.items(), key=lambda item: int(item[0]))]
        case _:
            raise BrokenModel(f"{_SETTINGS} of '{place}' misstates its added tokens")
