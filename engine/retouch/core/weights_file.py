"""Tuned weights as a file: tensors by the name of their parameter, and in the metadata the network that they are for.

A parameter's name holds what stands in for it; with ".up" [out, r] and ".down" [r, in] behind it, what is added to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from retouch.core.denoiser import Denoiser
    from retouch.core.tuning import ModelDelta

KIND, WEIGHTS = "kind", "tuned weights of retouch, 1"
BASE = "base"  # the digest of the network that they were tuned from
UP, DOWN = ".up", ".down"


def written(model: Denoiser) -> tuple[dict[str, Tensor], dict[str, str]]:
    """What a tuning made of a model, as tensors and metadata; what LoRA files add is no part of it."""
    delta = model.delta
    tensors = dict(delta.weights)
    for name, (up, down) in delta.low_rank.items():
        tensors |= {name + UP: up, name + DOWN: down}
    made = {name: each.detach().cpu().contiguous() for name, each in tensors.items()}
    return made, {KIND: WEIGHTS, BASE: model.digest}


def read(tensors: Mapping[str, Tensor]) -> ModelDelta:
    """The tuning that these tensors of a file are."""
    from retouch.core.tuning import ModelDelta

    weights = {name: each for name, each in tensors.items() if not name.endswith((UP, DOWN))}
    pairs = {
        (whole := name.removesuffix(UP)): (each, tensors[whole + DOWN])
        for name, each in tensors.items()
        if name.endswith(UP)
    }
    return ModelDelta(weights, pairs)
