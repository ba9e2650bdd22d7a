"""The diffusers folder layout of a model: which file is where."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from retouch.models.errors import BrokenModel

INDEX = "model_index.json"
CARD = "card.json"
WEIGHTS = ("diffusion_pytorch_model", "model")  # of diffusers' parts, and of transformers'
VARIANTS = (".safetensors", ".fp16.safetensors")
TOKENIZER = ("tokenizer.json", "vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json")
_PICKLES = (".bin", ".pt", ".pth", ".ckpt")


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """A config of the model, which must be a JSON object."""
    try:
        config = json.loads((folder / name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BrokenModel(f"'{folder}' has no {name}; it is not a model in the diffusers layout") from None
    except (OSError, ValueError) as why:
        raise BrokenModel(f"{name} of '{folder}' cannot be read: {why}") from None
    if not isinstance(config, dict):
        raise BrokenModel(f"{name} of '{folder}' is not a JSON object")
    return config


def weights_file(folder: Path, part: str) -> Path:
    """The safetensors of one part; the full-precision file if there are two."""
    for variant in VARIANTS:
        for stem in WEIGHTS:
            path = folder / part / f"{stem}{variant}"
            if path.is_file():
                return path
    others = sorted(p.name for p in (folder / part).glob("*.*") if p.suffix in _PICKLES)
    why = f"; '{others[0]}' is not read, because it is a pickle, which can run code" if others else ""
    raise BrokenModel(f"'{folder}' has no safetensors in {part}/{why}")


def check_tokenizer(folder: Path, part: str) -> None:
    """Insist on a vocabulary: without one, the tokenizer class would quietly make an empty one."""
    have = [(folder / part / name).is_file() for name in TOKENIZER[:3]]
    if not (have[0] or (have[1] and have[2])):
        raise BrokenModel(f"'{folder}' has neither {part}/tokenizer.json nor {part}/vocab.json and merges.txt")
