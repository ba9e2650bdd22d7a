"""What is in the store, or came from there, as people read it."""

from __future__ import annotations

from collections.abc import Mapping


def how_many(stages: Mapping[str, int]) -> str:
    """How often the value of each stage: "2 of 'invert ddim', 1 of 'mask diffedit'"."""
    return ", ".join(f"{count:,} of '{stage}'" for stage, count in stages.items())
