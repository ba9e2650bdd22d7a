"""Checkpoints: tensors in safetensors, numbers in JSON; whole at any kill."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor


def save(folder: Path, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
    """Keep a state, and forget the one before once this one is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{numbers['step']:08d}.safetensors"
    save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, folder / name)
    unfinished = folder / "state.unfinished"
    unfinished.write_text(json.dumps({**numbers, "tensors": name}))
    unfinished.replace(folder / "state.json")
    for older in folder.glob("*.safetensors"):
        if older.name != name:
            older.unlink()


def load(folder: Path, device: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Give back the tensors and numbers that were kept, or None."""
    index = folder / "state.json"
    if not index.exists():
        return None
    numbers = json.loads(index.read_text())
    return load_file(folder / numbers.pop("tensors"), device=device), numbers
