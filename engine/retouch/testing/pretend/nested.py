"""Tensors in whatever an operation is given: lists, tuples, named ones and dictionaries, in each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor


def flat(values: Any) -> Iterator[Tensor]:
    """All tensors, in their order."""
    for each in values:
        if isinstance(each, Tensor):
            yield each
        elif isinstance(each, tuple | list):
            yield from flat(each)
        elif isinstance(each, dict):
            yield from flat(each.values())


def mapped(value: Any, change: Callable[[Tensor], Any]) -> Any:
    """The same with another in the place of each tensor."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, tuple | list):
        made = [mapped(each, change) for each in value]
        if hasattr(value, "_fields"):
            return type(value)(*made)
        return type(value)(made) if type(value) in (tuple, list) else tuple(made)
    if isinstance(value, dict):
        return {name: mapped(each, change) for name, each in value.items()}
    return value
