"""What a recipe reads, told by what is in it: a file's bytes, or what a stage says that a folder holds."""

from __future__ import annotations

from pathlib import Path

from retouch.graph import folders
from retouch.pictures import standing
from retouch.plugins import registry


def digest(path: Path) -> str:
    """The sha256 of a file, or of a folder as the stage describes it that opens such; empty if it is gone."""
    if path.is_dir():
        return folders.digest(path, [card.folder for card in registry.load().cards if card.folder])
    return standing.digest(path)
