"""Lists where one value is expected: each is an axis, and a variant takes one item of every list that it meets.

A recipe with lists is read once for each way through them.  What is read first decides which lists come next, so a list
inside a method that only some variants take is met by those alone.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from retouch.lang import syntax as s
from retouch.lang.unparse import spell

T = TypeVar("T")
PICTURES = "path"  # the axis of a pattern of files


@dataclass(slots=True)
class Axis:
    """A list that this variant has met, and what it takes of it."""

    index: int
    count: int
    labels: dict[str, str] = field(default_factory=dict[str, str])  # by the names it is known under

    @property
    def label(self) -> str:
        """What is taken, in words; rows have one for each of their names."""
        return ", ".join(dict.fromkeys(self.labels.values()))


class Choices:
    """The items that the present variant takes.  A list is one axis, however often its text is used."""

    def __init__(self) -> None:
        self.axes: dict[s.Span, Axis] = {}
        self.variant = 0  # counts all that were begun
        self._plan: list[int] = []

    def ways(self) -> Iterator[int]:
        """Begin each variant in turn, the last list changing fastest; its number, from 0."""
        self._plan, count = [], 0
        while True:
            self.axes = {}
            self.variant += 1
            yield count
            count += 1
            counts = [axis.count for axis in self.axes.values()]
            while self._plan and self._plan[-1] + 1 >= counts[len(self._plan) - 1]:
                self._plan.pop()
            if not self._plan:
                self.axes = {}
                return
            self._plan[-1] += 1

    @property
    def product(self) -> int:
        """How many variants the lists that were met make, if none depends on another."""
        return math.prod(axis.count for axis in self.axes.values())

    def take(self, key: s.Span, name: str, items: Sequence[T], label: Callable[[T], str]) -> T:
        """Return the item that this variant takes of the list at this place."""
        axis = self.axes.get(key)
        if axis is None:
            place = len(self.axes)
            if place == len(self._plan):
                self._plan.append(0)
            axis = self.axes[key] = Axis(self._plan[place], len(items))
        item = items[axis.index]
        axis.labels.setdefault(name, label(item))
        return item

    def fields(self) -> dict[str, str]:
        """Return the text of `{…}` in a path for each axis, by its names; axes of one name stand side by side."""
        found: dict[str, list[str]] = {}
        for axis in self.axes.values():
            for name, label in axis.labels.items():
                found.setdefault(name, []).append(in_path(label))
        return {name: "-".join(labels) for name, labels in found.items()}

    def fields_but_pictures(self) -> list[str]:
        """Return the labels that tell a result from others of its picture."""
        return [text for name, text in self.fields().items() if name != PICTURES]


def in_path(label: str) -> str:
    """Return a label as part of a file's name: letters, digits and . _ + % - alone."""
    return re.sub(r"-{2,}", "-", re.sub(r"[^\w.+%-]+", "-", label)).strip("-")


def label(value: s.SyntaxNode) -> str:
    """Return a value as a recipe says it, without its quotes."""
    match value:
        case s.Text(value=text) | s.Number(raw=text) | s.Word(name=text) | s.Ref(name=text):
            return text
        case s.Bool(value=flag):
            return str(flag).lower()
        case s.CallSyntax(name=s.Word(name=name), args=args, named=named):
            inner = [label(arg) for arg in args] + [f"{option.name.name}={label(option.value)}" for option in named]
            return f"{name}({', '.join(inner)})"
        case s.GroupSyntax(changes=inner) | s.List(items=inner) | s.RowSyntax(items=inner):
            return " ".join(label(each) for each in inner)
        case s.Replace() | s.Add() | s.Remove() | s.Weigh():
            return _change(value)
        case _:
            kept = getattr(value, "turn", None)  # of a flow that was kept as a value
            flow = spell(value)[1:-1].replace('"', "") if isinstance(value, s.TurnSyntax) else ""
            return label(kept) if isinstance(kept, s.SyntaxNode) else flow


def _change(change: s.Change) -> str:
    match change:
        case s.Replace(source=old, target=new, weight=weight):
            return f"{label(old)}->{label(new)}{_factor(weight)}"
        case s.Add(word=word, weight=weight):
            return f"+{label(word)}{_factor(weight)}"
        case s.Remove(word=word):
            return f"-{label(word)}"
        case s.Weigh(word=word, weight=weight):
            return f"{label(word)}{_factor(weight)}"


def _factor(weight: s.Value | None) -> str:
    return f"*{label(weight)}" if weight else ""
