"""Weights in pickles, which are not read, and the line that makes safetensors of them."""

from __future__ import annotations

from pathlib import Path

SUFFIXES = (".ckpt", ".bin", ".pt", ".pth")
# The names that parts of a folder have: as a pickle, and as safetensors.
_RENAMED = {"pytorch_model": "model"}


def is_pickle(path: Path) -> bool:
    """Whether a file of this name holds a pickle."""
    return path.suffix.lower() in SUFFIXES


def refusal(path: Path) -> str:
    """Why it is not read, and what to type: torch reads it without running what is in it."""
    return f"'{path.name}' is not read, because it is a pickle, which can run code; convert it: {convert_line(path)}"


def convert_line(path: Path) -> str:
    """The command that writes the same weights as safetensors beside it."""
    to = path.with_name(f"{_RENAMED.get(path.stem, path.stem)}.safetensors")
    code = (
        "import sys; from torch import load; from safetensors.torch import save_file; "
        "d = load(sys.argv[1], map_location='cpu', weights_only=True); d = d.get('state_dict', d); "
        "save_file({k: v.clone().contiguous() for k, v in d.items() if hasattr(v, 'shape')}, sys.argv[2])"
    )
    return f'python -c "{code}" "{path}" "{to}"'
