"""Graphs and outcomes as lines of JSON, for workers of another process or machine: data alone, no pickles.

A value is told by its type: texts and numbers as they are, everything else as a list that begins with a letter.
Dataclasses are those of the engine; what many values share, such as a model's description, is told once in a line.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

ENGINE = "retouch."


class NotData(TypeError):
    """A value that has no form as data; says of what type it is."""


def packed(value: Any) -> str:
    """The value as one line.  Raises NotData."""
    return json.dumps(_Packing().of(value))


def unpacked(line: str) -> Any:
    """The value of a line.  Raises ValueError where it is none of ours."""
    try:
        return _Unpacking().of(json.loads(line))
    except (KeyError, TypeError, IndexError, AttributeError, ImportError, RecursionError) as why:
        raise ValueError(f"this is no value of a worker: {type(why).__name__} {why}") from why


class _Packing:
    def __init__(self) -> None:
        self._known: dict[int, int] = {}  # by identity, the number of what was told already
        self._alive: list[Any] = []  # or another could take its identity

    def of(self, value: Any) -> Any:
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, Path):
            return ["p", str(value)]
        if isinstance(value, bytes):
            return ["b", base64.b64encode(value).decode()]
        if id(value) in self._known:
            return ["r", self._known[id(value)]]
        told = self._whole(value)
        self._known[id(value)] = len(self._alive)
        self._alive.append(value)
        return told

    def _whole(self, value: Any) -> Any:
        if isinstance(value, tuple):
            return ["t", *map(self.of, value)]
        if isinstance(value, list):
            return ["l", *map(self.of, value)]
        if isinstance(value, set | frozenset):
            return ["s", *map(self.of, sorted(value, key=repr))]
        if isinstance(value, Mapping):
            return ["m", *([self.of(key), self.of(each)] for key, each in value.items())]
        kind = type(value)
        if is_dataclass(value) and kind.__module__.startswith(ENGINE):
            told = [self.of(getattr(value, each.name)) for each in fields(value) if each.init]
            return ["c", f"{kind.__module__}:{kind.__qualname__}", *told]
        raise NotData(f"a {kind.__module__}.{kind.__qualname__}")


class _Unpacking:
    def __init__(self) -> None:
        self._known: list[Any] = []

    def of(self, told: Any) -> Any:
        if not isinstance(told, list):
            return told
        letter, *rest = told
        if letter == "r":
            return self._known[rest[0]]
        if letter in _LEAVES:
            return _LEAVES[letter](rest[0])
        made = self._whole(letter, rest)
        self._known.append(made)
        return made

    def _whole(self, letter: str, rest: list[Any]) -> Any:
        if letter == "m":
            return {self.of(key): self.of(each) for key, each in rest}
        if letter == "c":
            # Nothing but a dataclass of the engine can be made by a line.
            module, _, path = rest[0].partition(":")
            if not module.startswith(ENGINE):
                raise ValueError(f"'{rest[0]}' is not of the engine")
            kind: Any = import_module(module)
            for part in path.split("."):
                kind = getattr(kind, part)
            if not (isinstance(kind, type) and is_dataclass(kind)):
                raise ValueError(f"'{rest[0]}' is no dataclass")
            names = [each.name for each in fields(kind) if each.init]
            return kind(**dict(zip(names, map(self.of, rest[1:]), strict=True)))
        return _MANY[letter](map(self.of, rest))


_LEAVES: Mapping[str, Callable[[str], Any]] = {"p": Path, "b": base64.b64decode}
_MANY: Mapping[str, Callable[[Any], Any]] = {"t": tuple, "l": list, "s": frozenset}
