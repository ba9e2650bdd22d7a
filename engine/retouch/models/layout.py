"""The diffusers folder layout of a Stable Diffusion: which file is where."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from retouch.models.errors import BrokenModel

CONFIGS = {
    "unet": "unet/config.json",
    "vae": "vae/config.json",
    "text_encoder": "text_encoder/config.json",
    "scheduler": "scheduler/scheduler_config.json",
}
WEIGHTS = {
    "unet": "unet/diffusion_pytorch_model",
    "vae": "vae/diffusion_pytorch_model",
    "text_encoder": "text_encoder/model",
}
VARIANTS = (".safetensors", ".fp16.safetensors")
TOKENIZER = (
    "tokenizer/tokenizer.json",
    "tokenizer/vocab.json",
    "tokenizer/merges.txt",
    "tokenizer/tokenizer_config.json",
    "tokenizer/special_tokens_map.json",
)
CARD = "card.json"


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
        path = folder / f"{WEIGHTS[part]}{variant}"
        if path.is_file():
            return path
    others = sorted(p.name for p in (folder / part).glob("*.*") if p.suffix in (".bin", ".pt", ".pth", ".ckpt"))
    why = f"; '{others[0]}' is not read, because it is a pickle, which can run code" if others else ""
    raise BrokenModel(f"'{folder}' has no {WEIGHTS[part]}.safetensors{why}")


def check_tokenizer(folder: Path) -> None:
    """Insist on a vocabulary: without one, the tokenizer class would quietly make an empty one."""
    have = [(folder / name).is_file() for name in TOKENIZER[:3]]
    if not (have[0] or (have[1] and have[2])):
        raise BrokenModel(f"'{folder}' has neither tokenizer/tokenizer.json nor tokenizer/vocab.json and merges.txt")
