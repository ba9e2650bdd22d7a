"""Files of textual inversion on a model: held to it by their headers before anything loads, and read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from retouch.core.tuned.embedding_file import keys_of, read_word
from retouch.models.errors import BrokenModel
from retouch.models.files.headers import FLOATS
from retouch.models.single_file import checked_header

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from retouch.models.info import ModelInfo


def check(info: ModelInfo, path: Path, word: str) -> None:
    """Insist that a file holds a word for this model's text encoders.  Raises BrokenModel."""
    stored, parts = checked_header(path).tensors, info.known.learns_words
    found = keys_of([*stored], len(parts), word)
    if found is None:
        forms = "one tensor, by the word" if len(parts) == 1 else "clip_l and clip_g"
        raise BrokenModel(f"it holds {len(stored)} tensors, and a word of this model is {forms}")
    called, names = found
    if not called:
        raise BrokenModel('it does not say its word; write word="<toy>"')
    for name, part in zip(names, parts, strict=True):
        width, shape = info.files.read(f"{part}/config.json")["hidden_size"], stored[name].shape
        if stored[name].dtype not in FLOATS:
            raise BrokenModel(f"{name} is of the type {stored[name].dtype}")
        if len(shape) not in (1, 2) or shape[-1] != width:
            raise BrokenModel(f"{name} is {list(shape)}, and what the {part} reads has {width} numbers a token")


def load(info: ModelInfo, path: Path, word: str, device: torch.device) -> Mapping[str, Sequence[Tensor]]:
    """The word of a file with its vectors, in float32.  Raises BrokenModel."""
    from retouch.models.weights import read_as_stored

    check(info, path, word)
    tensors = read_as_stored(path, checked_header(path).tensors)
    if broken := next((name for name, each in tensors.items() if not each.isfinite().all()), None):
        raise BrokenModel(f"{broken} holds numbers that are not finite")
    called, vectors = read_word(tensors, len(info.known.learns_words), word)
    return {called: tuple(each.to(device).float() for each in vectors)}
