"""Weights into a module, strictly: safetensors only, every key, every shape."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from retouch.models.errors import BrokenModel
from retouch.models.layout import weights_file

_OLD_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}  # before diffusers 0.16


def read(folder: Path, part: str) -> dict[str, Tensor]:
    """Read the tensors of one part, by the names of the file."""
    path = weights_file(folder, part)
    try:
        return load_file(path)
    except (SafetensorError, OSError) as why:
        raise BrokenModel(f"'{path}' cannot be read: {why}") from None


def fill(module: nn.Module, stored: Mapping[str, Tensor], device: torch.device, dtype: torch.dtype, where: str) -> Any:
    """Give a module that was built without memory its weights, in evaluation mode and without gradients.

    where: what the tensors were read from, for messages.
    """
    wanted = module.state_dict()
    state = {name: tensor for old, tensor in stored.items() if (name := _own_name(old, wanted)) is not None}
    for alias, source in (getattr(module, "all_tied_weights_keys", None) or {}).items():
        one, other = state.get(alias), state.get(source)
        if one is None and other is not None:
            state[alias] = other
        elif other is None and one is not None:
            state[source] = one
    _check(where, wanted, state)
    # A copy: a file lays its tensors at any byte, and kernels on other alignments give other bits.
    placed = {
        name: tensor.to(device, dtype if tensor.is_floating_point() else tensor.dtype, copy=True)
        for name, tensor in state.items()
    }
    module.load_state_dict(placed, strict=True, assign=True)
    if hasattr(module, "tie_weights"):
        module.tie_weights()  # pyright: ignore[reportCallIssue]
    return module.to(device).eval().requires_grad_(False)


def _own_name(stored: str, wanted: Mapping[str, Any]) -> str | None:
    """The module's name for a stored tensor; None for what is a count and no weight."""
    if stored.endswith("position_ids"):
        return None
    spellings = (
        stored,
        stored.removeprefix("text_model."),
        f"text_model.{stored}",
        _today(stored),
        f"model.{stored}",
        stored.replace("model.", "model.language_model.", 1),
        stored.replace("visual.", "model.visual.", 1),
    )
    return next((name for name in spellings if name in wanted), stored)


def _today(name: str) -> str:
    """A tensor's name in the diffusers of today."""
    parent, _, leaf = name.rpartition(".")
    block, _, layer = parent.rpartition(".")
    return f"{block}.{_OLD_ATTENTION[layer]}.{leaf}" if layer in _OLD_ATTENTION else name


def _check(where: str, wanted: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
    missing, unexpected = sorted(wanted.keys() - state.keys()), sorted(state.keys() - wanted.keys())
    if missing:
        raise BrokenModel(f"'{where}' lacks {_some(missing)}")
    if unexpected:
        raise BrokenModel(f"'{where}' has {_some(unexpected)}, which the network does not")
    for name, tensor in wanted.items():
        if tensor.shape != state[name].shape:
            raise BrokenModel(f"'{where}': {name} is {_shape(state[name])}, and the config says {_shape(tensor)}")


def _some(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _shape(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "a number"
