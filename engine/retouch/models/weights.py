"""Weights into a module, strictly: safetensors only, every key, every shape."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from retouch.models.errors import BrokenModel

Module = TypeVar("Module", bound=nn.Module)
Rename = Callable[[str], str | None]


def load(build: Callable[[], Module], path: Path, rename: Rename, device: str, dtype: torch.dtype) -> Module:
    """Build a module without memory and give it the file's tensors.

    rename: the module's name for a name in the file, None for a tensor that is not a weight.
    """
    with torch.device("meta"):
        module = build()
    try:
        stored = load_file(path, device=device)
    except (SafetensorError, OSError) as why:
        raise BrokenModel(f"'{path}' cannot be read: {why}") from None
    state = {new: tensor.to(dtype) for name, tensor in stored.items() if (new := rename(name)) is not None}
    _check(path, module.state_dict(), state)
    module.load_state_dict(state, strict=True, assign=True)
    return module.eval().requires_grad_(False)


def _check(path: Path, wanted: dict[str, Tensor], state: dict[str, Tensor]) -> None:
    missing, unexpected = sorted(wanted.keys() - state.keys()), sorted(state.keys() - wanted.keys())
    if missing:
        raise BrokenModel(f"'{path}' lacks {_some(missing)}")
    if unexpected:
        raise BrokenModel(f"'{path}' has {_some(unexpected)}, which the network does not")
    for name, tensor in wanted.items():
        if tensor.shape != state[name].shape:
            raise BrokenModel(f"'{path}': {name} is {_shape(state[name])}, and the config says {_shape(tensor)}")


def _some(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _shape(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "a number"
