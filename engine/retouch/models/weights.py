"""Weights into a module, strictly: safetensors only, every key, every shape, every number finite.

Every tensor is read into memory of its own.  A tensor that is mapped lies where its file has it, and kernels choose
their ways by that: eight bytes more of metadata would change the bits of a forward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO, TypeVar

import torch
from torch import Tensor, nn

from retouch.models.errors import BrokenModel
from retouch.models.headers import Stored
from retouch.models.layout import stored_tensors

Module = TypeVar("Module", bound=nn.Module)
Rename = Callable[[str], str | None]
_TYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
}


def load(build: Callable[[], Module], path: Path, rename: Rename, device: str, dtype: torch.dtype) -> Module:
    """Build a module without memory and give it the file's tensors, or those of an index's shards.

    rename: the module's name for a name in the file, None for a tensor that is not a weight.
    Memory at the peak: the module, and one tensor as it is stored.
    """
    module = _built(build, path)
    stored = _renamed(path, rename)
    _check(path, module.state_dict(), stored)
    module.load_state_dict(_read(stored, device, dtype), strict=True, assign=True)
    return module.eval().requires_grad_(False)


def _built(build: Callable[[], Module], path: Path) -> Module:
    """The module on the meta device.  What a config makes the library trip over is the config's fault."""
    try:
        with torch.device("meta"):
            return build()
    except (BrokenModel, MemoryError, ImportError):
        raise
    except Exception as why:
        said = (str(why).strip().splitlines() or [""])[0]
        raise BrokenModel(f"the config beside '{path}' makes no network: {type(why).__name__} {said}".strip()) from None


def _renamed(path: Path, rename: Rename) -> dict[str, tuple[Path, Stored]]:
    renamed = {rename(name): each for name, each in stored_tensors(path).items()}
    return {name: each for name, each in renamed.items() if name is not None}


def _check(path: Path, wanted: Mapping[str, Tensor], stored: Mapping[str, tuple[Path, Stored]]) -> None:
    missing, unexpected = sorted(wanted.keys() - stored.keys()), sorted(stored.keys() - wanted.keys())
    if missing:
        raise BrokenModel(f"'{path}' lacks {_some(missing)}")
    if unexpected:
        raise BrokenModel(f"'{path}' has {_some(unexpected)}, which the network does not")
    for name, tensor in wanted.items():
        _, found = stored[name]
        if tuple(tensor.shape) != found.shape:
            raise BrokenModel(f"'{path}': {name} is {_shape(found.shape)}, and the config says {_shape(tensor.shape)}")
        if found.dtype not in _TYPES:
            raise BrokenModel(f"'{path}': {name} is of the type {found.dtype}, and weights are fractions")


def _read(stored: Mapping[str, tuple[Path, Stored]], device: str, dtype: torch.dtype) -> dict[str, Tensor]:
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
    tensor = torch.empty(stored.shape, dtype=_TYPES[stored.dtype])
    if stored.numbers:
        file.seek(stored.begin)
        if file.readinto(tensor.reshape(-1).view(torch.uint8).numpy()) != stored.end - stored.begin:  # pyright: ignore[reportAttributeAccessIssue]
            raise OSError("it ended early")
    return tensor


def _finite(tensor: Tensor, path: Path, name: str, dtype: torch.dtype) -> Tensor:
    """The tensor in the type that is asked for, if all of it is numbers there."""
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
