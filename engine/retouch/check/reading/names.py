"""The names of a recipe: what each stands for, and every way to get one wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from retouch.check.reading.environment import Written, from_command_line
from retouch.check.reading.variants import Choices
from retouch.check.reading.variants import label as label_of
from retouch.lang import syntax as s
from retouch.lang.diagnostics import Report
from retouch.lang.snippet import SourceText
from retouch.lang.words import FAMILIES
from retouch.near import near


@dataclass(frozen=True, slots=True)
class Closure:
    """A flow as it is written, and the names that it sees."""

    flow: s.FlowSyntax
    scope: NameScope


@dataclass(frozen=True, slots=True)
class BoundTurn(s.SyntaxNode):
    """A flow in brackets that was kept as a value, with the names that it sees where it is written."""

    turn: s.SyntaxNode
    closure: Closure = field(compare=False, repr=False)


@dataclass(slots=True)
class Name:
    """One name: of a value, a flow or a def.  One that could not be read is none of them: it was reported already."""

    span: s.Span
    value: Written | None = None
    flow: Closure | None = None
    made: Definition | None = None
    used: bool = False

    @property
    def is_flow(self) -> bool:
        return self.flow is not None


@dataclass(frozen=True, slots=True)
class Definition:
    """A def, and the file whose names it sees."""

    line: s.Def
    names: Names
    defaults: Mapping[str, Written | None]


class Names:
    """All names of one file, each made once."""

    def __init__(self, recipe: s.RecipeSyntax, page: SourceText, settings: Mapping[str, str], report: Report) -> None:
        self.all: dict[str, Name] = {}
        self.lacks: set[str] = set()  # "" or "s.": how names of libraries begin that could not be read, which is told
        self.report = report
        self._settings = settings
        self._below = {word: statement.span for statement in recipe.statements for word in made_by(statement)}
        self._page = page

    def make(self, name: s.Word, made: Name) -> None:
        """Keep a name, unless it is taken."""
        if name.name in FAMILIES:
            mend = {"mask": "area", "open": "photo"}.get(name.name, f"my_{name.name}")
            self.report.add("RT211", name.span, name=name.name, mend=mend)
            # It is told already; that nothing reads it would be a second complaint of the same word.
            made.used = True
        elif (old := self.all.get(name.name)) is not None:
            self.report.add("RT210", name.span, name=name.name, notes=(("first named here", old.span),))
        self.all[name.name] = made

    def unread(self, name: s.Word) -> None:
        """Keep a name whose meaning was reported as wrong, so that its uses are not."""
        self.all.setdefault(name.name, Name(name.span, used=True))

    def setting(self, name: str) -> Written | None:
        """Return the command line's value for a `let`."""
        return from_command_line(name, self._settings[name]) if name in self._settings else None

    def line_of(self, name: str) -> int | None:
        """Return the line on which a name is made, if it is made anywhere."""
        place = self._below.get(name)
        return None if place is None else self._page.position(place.start)[0]

    def unused(self) -> Iterator[tuple[str, Name]]:
        return ((name, made) for name, made in self.all.items() if not made.used)


@dataclass(frozen=True, slots=True)
class NameScope:
    """Names visible to one statement: those defined above it.

    Inside a def: its parameters, and values and defs above; not flows.
    """

    names: Names
    above: int
    choices: Choices
    own: Mapping[str, Name] | None = None

    @property
    def report(self) -> Report:
        return self.names.report

    def __contains__(self, name: str) -> bool:
        return self.get(name) is not None

    def get(self, name: str) -> Name | None:
        """Return the meaning of a name here, without reporting anything."""
        if self.own is not None and name in self.own:
            return self.own[name]
        made = self.names.all.get(name)
        if made is None or made.span.start >= self.above:
            return None
        # A def means the same wherever it is called: a flow that it reached for would be wired twice, unseen.
        return None if self.own is not None and made.is_flow else made

    def known(self) -> list[str]:
        """Return all names that can be seen."""
        return [*(self.own or ()), *(name for name in self.names.all if name in self)]

    def is_below(self, name: str) -> bool:
        """Return whether a name is made only further down."""
        return self.names.line_of(name) is not None and name not in self

    def find(self, word: s.Ref | s.Word, hint: str = "") -> Name | None:
        """Return the meaning of a name; None, and a diagnostic, if nothing is called so here."""
        name = self.get(word.name)
        if name:
            name.used = True
            return name
        made = self.names.all.get(word.name)
        # It is above and still not seen, so it is a flow that a def reaches for.
        if made and made.span.start < self.above:
            self.report.add("RT220", word.span, name=word.name)
            made.used = True
        elif (line := self.names.line_of(word.name)) is not None:
            self.report.add("RT213", word.span, name=word.name, line=line)
        else:
            quoted = f"if it is text, put it in quotes: {json.dumps(word.name)}"
            self.report.add("RT204", word.span, name=word.name, mend=hint or near(word.name, self.known()) or quoted)
        return None

    def written(self, value: s.Value, origin: str = "recipe") -> Written | None:
        """Return the value with every name in it replaced by its own value."""
        if not isinstance(value, s.Ref):
            closed = self._closed(value)
            return None if closed is None else Written(closed, value.span, origin)
        name = self.find(value)
        if name is None or name.value is None:
            if name and (name.flow or name.made):
                got = "a flow" if name.flow else "a def"
                mend = (
                    f"a flow is given to a port, as in: mask={value.name}" if name.flow else f"call it: {value.name}(…)"
                )
                self.report.add("RT207", value.span, name="this option", wanted="a value", got=got, mend=mend)
            return None
        # What is wrong with the value is told where it is used; a value of the command line has its own place.
        return name.value if name.value.source else replace(name.value, span=value.span)

    def bound(self, written: Written) -> Written:
        """Return a value of the command line; a flow in it sees the names that the recipe's line would."""
        flows = any(isinstance(node, s.TurnSyntax) for node in s.walk(written.value))
        return replace(written, value=self._closed(written.value)) if flows else written

    def _closed(self, node: Any) -> Any:
        """Return the same tree without names; None if one of them means nothing."""
        match node:
            case s.Ref():
                written = self.written(node)
                return written and written.value
            case s.TurnSyntax() | s.GroupSyntax(changes=(s.TurnSyntax() | s.CallSyntax(),)):
                flow = s.as_flow(node)
                return flow and BoundTurn(node, Closure(flow, self), span=node.span)
            case tuple():
                items = tuple(self._closed(item) for item in node)
                return None if None in items else items
            case s.List() | s.RowSyntax() | s.GroupSyntax() | s.Replace() | s.Weigh() | s.Add() | s.Remove():
                named = {each.name: getattr(node, each.name) for each in fields(node)}
                inner = {name: part for name, part in named.items() if isinstance(part, tuple | s.SyntaxNode)}
                closed = {name: self._closed(part) for name, part in inner.items()}
                return None if None in closed.values() else replace(node, **closed)
            case _:
                return node

    def one(self, written: Written, name: str) -> Written:
        """Return a value, or of a list of values the item that this variant takes."""
        while isinstance(written.value, s.List) and written.value.items:
            written = replace(written, value=one_of(written.value, name, self.choices), span=written.span)
        return written


def one_of(items: s.List, name: str, choices: Choices) -> s.Value:
    """Return the item that this variant takes of a list."""
    return choices.take(items.span, items.name or name, items.items, label_of)


def made_by(statement: s.Statement) -> list[str]:
    """Return the names that a statement makes."""
    match statement:
        case s.Let(names=names):
            return [name.name for name in names]
        case s.Def(name=name) | s.Binding(name=name):
            return [name.name]
        case s.Broken(names=names):
            return list(names)
        case _:
            return []
