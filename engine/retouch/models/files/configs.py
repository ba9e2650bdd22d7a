"""Configs of a model, read with the types and bounds that they must have, so that no library has to trip over them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from retouch.models.errors import BrokenModel
from retouch.models.files.layout import read_json

WIDEST = 2**20  # of anything that is a width, a side or a count of words
LARGEST = 2**31  # of any number of a config, ids and seeds included
MOST_VALUES = 100_000  # of a config


class Config(Mapping[str, Any]):
    """One config.json: a mapping whose typed reads refuse in words what is missing or cannot be meant."""

    def __init__(self, values: Mapping[str, Any], name: str) -> None:
        self._values, self.name = values, name

    @classmethod
    def read(cls, folder: Path, name: str) -> Config:
        """The file of this name in a model's folder."""
        return cls(read_json(folder, name), name)

    def __getitem__(self, key: str) -> Any:
        if key not in self._values:
            raise BrokenModel(f"{self.name} lacks {key}")
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def get(self, key: str, default: Any = None) -> Any:
        """The value, or the default; no missing key is a mistake here."""
        return self._values.get(key, default)

    def whole(self, key: str, least: int = 1, most: int = WIDEST, default: int | None = None) -> int:
        """A whole number in bounds."""
        value = self[key] if default is None else self.get(key, default)
        if type(value) is not int or not least <= value <= most:
            raise self.misstated(key, f"a whole number from {least:,} to {most:,}")
        return value

    def number(self, key: str, least: float, most: float, default: float) -> float:
        """A number in bounds."""
        value = self.get(key, default)
        if type(value) not in (int, float) or not least <= value <= most:
            raise self.misstated(key, f"a number from {least:g} to {most:g}")
        return value

    def wholes(self, key: str, count: int | None = None, most: int = WIDEST) -> list[int]:
        """A list of positive whole numbers, or one that stands for `count` equal ones."""
        value = self[key]
        if count is not None and type(value) is int:
            value = [value] * count
        if (
            not isinstance(value, list)
            or not value
            or (count is not None and len(value) != count)
            or any(type(each) is not int or not 0 < each <= most for each in value)
        ):
            raise self.misstated(key, f"{count or 'some'} whole numbers from 1 to {most:,}")
        return value

    def texts(self, key: str, count: int) -> list[str]:
        """A list of so many names."""
        value = self[key]
        if not isinstance(value, list) or len(value) != count or not all(isinstance(each, str) for each in value):
            raise self.misstated(key, f"{count} names")
        return value

    def one_of(self, key: str, names: Sequence[str], default: str) -> str:
        """A name of these."""
        value = self.get(key, default)
        if value not in names:
            raise self.misstated(key, f"one of {', '.join(names)}")
        return value

    def of_class(self, key: str, name: str) -> None:
        """Insist that it is the config of this class."""
        if self.get(key) != name:
            raise BrokenModel(f"{self.name} is for {_shown(self.get(key))}, and {name} is read here")

    def misstated(self, key: str, meant: str) -> BrokenModel:
        """The refusal of a value, with what is meant."""
        return BrokenModel(f"{self.name} says that {key} is {_shown(self.get(key))}; {meant} is meant")


def check_numbers(config: Config, tensors: int) -> None:
    """Insist that every number is one, and that no count of layers exceeds the count of tensors.

    Every layer has a tensor at least.  A count that lies would have a library build layers for hours.
    """
    # Without recursion, which a config that is nested deep enough would exhaust.
    waiting: list[tuple[str, Any]] = list(config.items())
    for _ in range(MOST_VALUES):
        if not waiting:
            return
        key, value = waiting.pop()
        match value:
            case bool() | None | str():
                pass
            case int() | float() if not math.isfinite(value) or abs(value) > LARGEST:
                raise BrokenModel(f"{config.name} says that {key} is {_shown(value)}, which cannot be meant")
            case int() if "layers" in key and not 0 <= value <= tensors:
                raise BrokenModel(f"{config.name} says that {key} is {value:,}, and the weights have {tensors} tensors")
            case list() if len(value) <= MOST_VALUES:
                waiting += [(key, each) for each in value]
            case dict() if len(value) <= MOST_VALUES:
                waiting += value.items()
            case list() | dict():
                break
            case _:
                pass
    raise BrokenModel(f"{config.name} has more than {MOST_VALUES:,} values")


def _shown(value: Any) -> str:
    """A value as its file says it, no longer than a line."""
    if value is None:
        return "nothing"
    if isinstance(value, list | dict) and len(value) > 8:
        return f"a {'list' if isinstance(value, list) else 'table'} of {len(value):,}"
    said = f"'{value}'" if isinstance(value, str) else _number(value)
    return said if len(said) <= 60 else f"{said[:57]}…"


def _number(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 10**18:
        return "a number of more than 18 digits"
    return str(value)
