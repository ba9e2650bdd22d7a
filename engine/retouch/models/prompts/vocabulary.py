"""A tokenizer's files, looked at before its library does: that they are there, can be read, and fit the encoder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retouch.models.errors import BrokenModel, MissingFile
from retouch.models.files.layout import TOKENIZER, read_json
from retouch.models.prompts.clip_vocabulary import WORDS


def vocabulary_size(place: Path) -> int:
    """How many token ids the tokenizer of this folder, or CLIP's of this file, can give: one more than the largest.

    Without a vocabulary the tokenizer class would quietly make an empty one, so its absence is BrokenModel.
    """
    if place.is_file():
        return WORDS
    folder, part = place.parent, place.name
    whole, words, merges, *others = (f"{part}/{name}" for name in TOKENIZER)
    for optional in others:
        if (folder / optional).is_file():
            read_json(folder, optional)
    if (folder / whole).is_file():
        return _largest(folder, whole, _whole(folder, whole))
    if (folder / words).is_file() and (folder / merges).is_file():
        try:
            (folder / merges).read_text(encoding="utf-8")
        except (OSError, ValueError) as why:
            raise BrokenModel(
                f"{merges} of '{folder}' cannot be read: {getattr(why, 'strerror', None) or why}"
            ) from None
        return _largest(folder, words, read_json(folder, words))
    raise MissingFile(f"'{folder}' has neither {whole} nor {words} and merges.txt")


def _whole(folder: Path, name: str) -> Mapping[str, Any]:
    """Every word of a tokenizer.json, the added ones included, with its id."""
    match read_json(folder, name):
        case {"model": {"vocab": dict(words)}} as said if words:
            added = said.get("added_tokens") or []
        case {"model": {"type": "Unigram", "vocab": [*pieces]}} as said if pieces:  # T5's: a list of pieces and scores
            if not all(isinstance(each, list) and each and isinstance(each[0], str) for each in pieces):
                raise BrokenModel(f"{name} of '{folder}' misstates its pieces")
            words = {each[0]: i for i, each in enumerate(pieces)}
            added = said.get("added_tokens") or []
        case _:
            raise BrokenModel(f"{name} of '{folder}' has no table of words to ids")
    match added:
        case [*entries] if all(isinstance(each, dict) and "content" in each and "id" in each for each in entries):
            return words | {each["content"]: each["id"] for each in entries}
        case _:
            raise BrokenModel(f"{name} of '{folder}' misstates its added tokens")


def _largest(folder: Path, name: str, words: Mapping[str, Any]) -> int:
    if not words or any(type(number) is not int or number < 0 for number in words.values()):
        raise BrokenModel(f"{name} of '{folder}' has no table of words to ids")
    return 1 + max(words.values())
