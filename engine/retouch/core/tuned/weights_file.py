"""Tuned weights as a file: tensors by the name of their parameter, and in the metadata the network that they are for.

A parameter's name holds what stands in for it; with ".up" [out, r] and ".down" [r, in] behind it, what is added to it.
"prompt.embeds" [tokens, dim] and the metadata "token" are how prompts name what was learnt; the metadata "placed" says
that the network is told where it looks.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from retouch.core.denoiser import Denoiser
    from retouch.core.tuning import ModelDelta

KIND, WEIGHTS = "kind", "tuned weights of retouch, 1"
BASE = "base"  # the digest of the network that they were tuned from
UP, DOWN = ".up", ".down"
EMBEDS, TOKEN, PLACED = "prompt.embeds", "token", "placed"


def tuned_tensors(model: Denoiser) -> tuple[dict[str, Tensor], dict[str, str]]:
    """What a tuning made of a model, as tensors and metadata; what LoRA files add is no part of it."""
    delta = model.delta
    tensors = dict(delta.weights)
    for name, (up, down) in delta.low_rank.items():
        tensors |= {name + UP: up, name + DOWN: down}
    said = {KIND: WEIGHTS, BASE: model.digest}
    if delta.words is not None:
        said |= {TOKEN: delta.words.token} if delta.words.token else {}
        tensors |= {} if delta.words.embeds is None else {EMBEDS: delta.words.embeds}
    said |= {PLACED: "1"} if delta.place else {}
    made = {name: each.detach().cpu().contiguous() for name, each in tensors.items()}
    return made, said


def has_words(names: Iterable[str], metadata: Mapping[str, str]) -> bool:
    """Whether a file of these tensors holds how prompts name what was learnt."""
    return EMBEDS in names or bool(metadata.get(TOKEN))


def read(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> ModelDelta:
    """The tuning that these tensors of a file are."""
    from retouch.core.tuning import LearntWords, ModelDelta, Patch

    weights = {name: each for name, each in tensors.items() if not name.endswith((UP, DOWN)) and name != EMBEDS}
    pairs = {
        (whole := name.removesuffix(UP)): (each, tensors[whole + DOWN])
        for name, each in tensors.items()
        if name.endswith(UP)
    }
    words = LearntWords(tensors.get(EMBEDS), metadata.get(TOKEN, "")) if has_words(tensors, metadata) else None
    return ModelDelta(weights, pairs, words=words, place=Patch() if metadata.get(PLACED) else None)


def safetensors_file(tensors: Mapping[str, Tensor], said: Mapping[str, str]) -> bytes:
    """The bytes of a safetensors file, the same each time: the library leaves the order of its header to chance."""
    from safetensors.torch import save

    file = save({**tensors}, {**said})
    end = 8 + int.from_bytes(file[:8], "little")
    header = json.dumps(json.loads(file[8:end]), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    header += b" " * (-len(header) % 8)  # tensors begin at a multiple of eight
    return len(header).to_bytes(8, "little") + header + file[end:]
