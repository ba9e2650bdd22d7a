"""Which values may outlive their run: of these types, told by their fields alone.  No torch."""

from __future__ import annotations

from dataclasses import is_dataclass
from typing import TypeVar

T = TypeVar("T")

_KINDS: dict[str, type] = {}


def storable(kind: type[T]) -> type[T]:
    """Say that a frozen dataclass is all told by its fields, so that a store may keep it and make it again.

    Above `@dataclass`.  What its fields hold has to be numbers, texts, tensors, tuples and mappings of them, or of such
    types again; a value that holds anything else, such as a function, is made anew each time.
    Raises TypeError for what is no dataclass.
    """
    if not is_dataclass(kind):
        raise TypeError(f"{kind.__name__} is no dataclass, so its fields do not tell what it is")
    _KINDS[name_of(kind)] = kind
    return kind


def name_of(kind: type) -> str:
    """The name that a type is kept under."""
    return f"{kind.__module__}.{kind.__qualname__}"


def kind_named(name: str) -> type | None:
    """The type of this name, if it may be kept and its module was imported."""
    return _KINDS.get(name)
