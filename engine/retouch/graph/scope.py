"""The names of a recipe: what each stands for, and every way to get one wrong."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from retouch.graph.world import Written, from_command_line
from retouch.lang import syntax as s
from retouch.lang.diagnostics import Report
from retouch.lang.page import Page
from retouch.lang.words import FAMILIES

if TYPE_CHECKING:
    from retouch.graph.calls import Call

Flow = tuple["Call", ...]


@dataclass(slots=True)
class Name:
    """One name. A flow or a value that could not be read is None: it was reported where it is made."""

    span: s.Span
    flow: Flow | None = None
    value: Written | None = None
    is_flow: bool = False
    used: bool = False


class Scope:
    """The names made so far, reading from the top."""

    def __init__(self, recipe: s.Recipe, text: str, settings: Mapping[str, str], report: Report) -> None:
        self.names: dict[str, Name] = {}
        self.report = report
        self._settings = settings
        self._all = {word: statement.span for statement in recipe.statements for word in made_by(statement)}
        self._page = Page(text, "recipe")

    def let(self, name: s.Word, value: s.Value) -> None:
        """Keep a value; one that the command line gives instead wins."""
        if name.name in self._settings:
            written = from_command_line(name.name, self._settings[name.name])
        else:
            written = self.written(value, "recipe")
        self._make(name, Name(name.span, value=written))

    def flow(self, name: s.Word, flow: Flow | None) -> None:
        self._make(name, Name(name.span, flow=flow, is_flow=True))

    def unread(self, name: s.Word) -> None:
        """Keep a name whose meaning was reported as wrong, so that its uses are not."""
        self.names.setdefault(name.name, Name(name.span, used=True))

    def _make(self, name: s.Word, made: Name) -> None:
        if name.name in FAMILIES:
            mend = {"mask": "area", "open": "photo"}.get(name.name, f"my_{name.name}")
            self.report.add("RT211", name.span, name=name.name, mend=mend)
            made.used = True
        elif (old := self.names.get(name.name)) is not None:
            self.report.add("RT210", name.span, name=name.name, notes=(("first named here", old.span),))
        self.names[name.name] = made

    def written(self, value: s.Value, origin: str) -> Written | None:
        """The value itself, or what the name stands for that is written in its place."""
        if not isinstance(value, s.Ref):
            return Written(value, value.span, origin)
        name = self.find(value)
        if name is None or name.value is None:
            if name and name.is_flow:
                mend = f"a flow is given to a port, as in: mask={value.name}"
                wanted, got = "a value", "a flow"
                self.report.add("RT207", value.span, name="this option", wanted=wanted, got=got, mend=mend)
            return None
        return name.value if name.value.source else replace(name.value, span=value.span)

    def find(self, word: s.Ref | s.Word, hint: str = "") -> Name | None:
        """What a name means; None, and a diagnostic, if nothing is called so above this line."""
        name = self.names.get(word.name)
        if name:
            name.used = True
        elif word.name in self._all:
            line, _ = self._page.position(self._all[word.name].start)
            self.report.add("RT213", word.span, name=word.name, line=line)
        else:
            quoted = f"if it is text, put it in quotes: {json.dumps(word.name)}"
            self.report.add("RT204", word.span, name=word.name, mend=hint or near(word.name, self.names) or quoted)
        return name

    def is_below(self, name: str) -> bool:
        """Whether a name is made only further down."""
        return name in self._all and name not in self.names

    def unused(self) -> Iterator[tuple[str, s.Span]]:
        return ((name, made.span) for name, made in self.names.items() if not made.used)

    def unknown_settings(self, options: Iterable[str]) -> Iterator[str]:
        """Settings of the command line that are neither a value of the recipe nor an option of its stages."""
        known = set(options)
        return (name for name in self._settings if name not in self.names and name not in known)


def made_by(statement: s.Statement) -> list[str]:
    """The names that a statement makes."""
    match statement:
        case s.Let(names=names):
            return [name.name for name in names]
        case s.Def(name=name) | s.Binding(name=name):
            return [name.name]
        case s.Broken(names=names):
            return list(names)
        case _:
            return []


def near(name: str, known: Iterable[str]) -> str:
    """A question about the likeliest name that was meant, or nothing."""
    found = difflib.get_close_matches(name, list(known), 1, cutoff=0.6)
    return f"did you mean '{found[0]}'?" if found else ""
