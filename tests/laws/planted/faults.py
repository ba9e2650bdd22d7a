"""What a fault is, and the list of all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Fault:
    """A stage, and what is said of it."""

    stage: Callable[..., Any]
    words: str
    options: dict[str, Any]


FAULTS: dict[str, Fault] = {}


def planted(words: str, **options: Any) -> Callable[..., Any]:
    """List a stage with the words that name its fault."""

    def listed(function: Callable[..., Any]) -> Callable[..., Any]:
        FAULTS[function.__name__] = Fault(function, words, options)
        return function

    return listed
