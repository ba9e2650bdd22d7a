"""What a folder of the hub that is no whole model is for: a network that a stage sees with, or a VAE."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retouch.models.errors import BrokenModel
from retouch.models.files.layout import read_json
from retouch.plugins import registry

CONFIG = "config.json"


def ways(config: Mapping[str, Any]) -> tuple[str, ...]:
    """How recipes name a network with this config, "{}" standing for its name; nothing where none can."""
    if str(config.get("_class_name", "")).startswith("Autoencoder"):
        return ('model "…" vae="{}"',)
    kind = config.get("model_type")
    return tuple(f'{card.name} "{{}}"' for card in registry.load().cards if kind in card.pretrained)


def ways_in(folder: Path) -> tuple[str, ...]:
    """The same of a folder; nothing where its config cannot be read."""
    try:
        return ways(read_json(folder, CONFIG))
    except BrokenModel:
        return ()


def kinds() -> tuple[str, ...]:
    """What networks that stages see with call themselves."""
    return tuple(dict.fromkeys(kind for card in registry.load().cards for kind in card.pretrained))
