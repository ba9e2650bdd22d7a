"""Weights into a module, strictly: safetensors only, every key, every shape, every number finite.

Every tensor is read into memory of its own.  A tensor that is mapped lies where its file has it, and kernels choose
their ways by that: eight bytes more of metadata would change the bits of a forward pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from retouch.models.errors import BrokenModel
from retouch.models.files.headers import Stored
from retouch.models.files.layout import stored_tensors

_TYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
}
_COUNTS = {"I64": torch.int64, "I32": torch.int32}  # of batches that a norm has seen
# What networks have none of, and files of plugins may.
_OTHERS = {"I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool}
_OTHERS |= {"U16": torch.uint16, "U32": torch.uint32, "U64": torch.uint64}
T = TypeVar("T")


class Found(NamedTuple):
    """What is compared of a tensor."""

    shape: tuple[int, ...]
    dtype: str


_OLD_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}  # before diffusers 0.16


def fill(module: nn.Module, path: Path, device: torch.device, dtype: torch.dtype) -> Any:
    """Give a module that was built without memory the tensors of a file, or those of an index's shards.

    It comes back in evaluation mode and without gradients.  Memory at the peak: the module, and one tensor as stored.
    """
    return _filled(module, _read(check(module, path), device, dtype), device)


def check(module: nn.Module, path: Path) -> dict[str, tuple[Path, Stored]]:
    """Return where each tensor of a module is stored.  Raises BrokenModel where one lacks or has another shape."""
    stored = _by_own_names(module, stored_tensors(path))
    _check(path, module.state_dict(), {name: Found(each.shape, each.dtype) for name, (_, each) in stored.items()})
    return stored


def fill_with(
    module: nn.Module, path: Path, state: Mapping[str, Tensor], device: torch.device, dtype: torch.dtype
) -> Any:
    """Give a module tensors that were read as they are stored, by the module's names, as `fill` does.

    path: of what file messages speak.
    """
    state = check_with(module, path, state)
    made = {name: _own(_finite(each, path, name, dtype)).to(device) for name, each in state.items()}
    return _filled(module, made, device)


def check_with(module: nn.Module, path: Path, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors by the module's names, as `check` does; they may be without memory."""
    state = _by_own_names(module, state)
    names = {torch_type: name for name, torch_type in (_TYPES | _COUNTS).items()}
    _check(
        path, module.state_dict(), {name: Found(tuple(each.shape), names[each.dtype]) for name, each in state.items()}
    )
    return state


def without_numbers(tensors: Mapping[str, Stored]) -> dict[str, Tensor]:
    """Tensors of a file as its header has them, without memory."""
    types = _TYPES | _COUNTS
    return {name: torch.empty(each.shape, dtype=types[each.dtype], device="meta") for name, each in tensors.items()}


def read_as_stored(path: Path, tensors: Mapping[str, Stored]) -> dict[str, Tensor]:
    """Read tensors of a file in the type in which it has them, each into memory of its own."""
    try:
        with path.open("rb") as file:
            return {name: _one(file, each) for name, each in sorted(tensors.items(), key=lambda pair: pair[1].begin)}
    except OSError as why:
        raise BrokenModel(f"'{path}' cannot be read: {why.strerror or why}") from None


def _own(tensor: Tensor) -> Tensor:
    """A tensor that is no piece of another, so that its bits depend on nothing but its numbers."""
    return tensor.clone(memory_format=torch.contiguous_format) if tensor._base is not None else tensor.contiguous()


def _filled(module: nn.Module, state: Mapping[str, Tensor], device: torch.device) -> Any:
    module.load_state_dict(state, strict=True, assign=True)
    if hasattr(module, "tie_weights"):
        module.tie_weights()  # pyright: ignore[reportCallIssue]
    return module.to(device).eval().requires_grad_(False)


def _by_own_names(module: nn.Module, given: Mapping[str, T]) -> dict[str, T]:
    wanted = module.state_dict()
    found = {name: each for old, each in given.items() if (name := _own_name(old, wanted)) is not None}
    for alias, source in (getattr(module, "all_tied_weights_keys", None) or {}).items():
        found |= {alias: found[source]} if source in found else {source: found[alias]} if alias in found else {}
    return found


def _own_name(stored: str, wanted: Mapping[str, Any]) -> str | None:
    """The module's name for a stored tensor; None for what is a count and no weight."""
    if stored.endswith("position_ids"):
        return None
    # Files of older versions of diffusers call the layers of attention otherwise.
    parent, _, leaf = stored.rpartition(".")
    block, _, layer = parent.rpartition(".")
    spellings = (
        stored,
        stored.removeprefix("text_model."),
        f"text_model.{stored}",
        f"{block}.{_OLD_ATTENTION[layer]}.{leaf}" if layer in _OLD_ATTENTION else stored,
        f"model.{stored}",
        stored.replace("model.", "model.language_model.", 1),
        stored.replace("visual.", "model.visual.", 1),
    )
    return next((name for name in spellings if name in wanted), stored)


def _check(path: Path, wanted: Mapping[str, Tensor], stored: Mapping[str, Found]) -> None:
    missing, unexpected = sorted(wanted.keys() - stored.keys()), sorted(stored.keys() - wanted.keys())
    if missing:
        raise BrokenModel(f"'{path}' lacks {_some(missing)}")
    if unexpected:
        raise BrokenModel(f"'{path}' has {_some(unexpected)}, which the network does not")
    for name, tensor in wanted.items():
        found = stored[name]
        if tuple(tensor.shape) != found.shape:
            raise BrokenModel(f"'{path}': {name} is {_shape(found.shape)}, and the config says {_shape(tensor.shape)}")
        if found.dtype not in (_TYPES if tensor.is_floating_point() else _COUNTS):
            raise BrokenModel(f"'{path}': {name} is of the type {found.dtype}, and weights are fractions")


def _read(stored: Mapping[str, tuple[Path, Stored]], device: torch.device, dtype: torch.dtype) -> dict[str, Tensor]:
    """All tensors, file by file in the order in which they lie there."""
    state: dict[str, Tensor] = {}
    for path in dict.fromkeys(path for path, _ in stored.values()):
        here = [(name, each) for name, (file, each) in stored.items() if file == path]
        try:
            with path.open("rb") as file:
                for name, each in sorted(here, key=lambda pair: pair[1].begin):
                    state[name] = _finite(_one(file, each), path, name, dtype).to(device)
        except OSError as why:
            raise BrokenModel(f"'{path}' cannot be read: {why.strerror or why}") from None
    return state


def _one(file: BinaryIO, stored: Stored) -> Tensor:
    """One tensor, in memory that torch lays out."""
    tensor = torch.empty(stored.shape, dtype=(_TYPES | _COUNTS | _OTHERS)[stored.dtype])
    if stored.numbers:
        file.seek(stored.begin)
        if file.readinto(tensor.reshape(-1).view(torch.uint8).numpy()) != stored.end - stored.begin:  # pyright: ignore[reportAttributeAccessIssue]
            raise OSError("it ended early")
    return tensor


def _finite(tensor: Tensor, path: Path, name: str, dtype: torch.dtype) -> Tensor:
    """The tensor in the type that is asked for, if all of it is numbers there."""
    if not tensor.is_floating_point():
        return tensor
    converted = tensor.to(dtype)
    if converted.numel() and not _all_finite(converted):
        if _all_finite(tensor.to(torch.float32)):
            raise BrokenModel(f"'{path}': {name} has numbers too large for {str(dtype).removeprefix('torch.')}")
        raise BrokenModel(f"'{path}': {name} is not finite; the file is damaged, or training went wrong")
    return converted


def _all_finite(tensor: Tensor) -> bool:
    least, most = torch.aminmax(tensor)
    return bool(torch.isfinite(least) & torch.isfinite(most))


def _some(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "a number"
