"""A value that an option was given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from retouch.lang.syntax import Span


@dataclass(frozen=True, slots=True)
class Given:
    """A checked value, and where it was given."""

    value: Any
    span: Span
    origin: str  # a name of graph/origins.py, or "engine"
    source: str | None = None  # the text that the span is in, if that is not the recipe
    items: tuple[Span, ...] = ()  # of a list that the recipe writes out
