"""A recipe's text, as a command was given it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Source:
    """The text of a recipe, what to call it, and where its relative paths start."""

    name: str
    text: bytes
    folder: Path
