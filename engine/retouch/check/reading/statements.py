"""Reading a recipe's statements in order: names, libraries, settings.  Flows are read where they are used."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from retouch.check.reading.environment import Written
from retouch.check.reading.files import Files
from retouch.check.reading.names import Closure, Definition, Name, Names, NameScope
from retouch.check.reading.variants import Choices
from retouch.lang import syntax as s
from retouch.lang.diagnostics import Diagnostic, Report
from retouch.lang.encodings import readable
from retouch.lang.parse import parse
from retouch.lang.snippet import SourceText, normal
from retouch.lang.source import LIMIT_LENGTH
from retouch.near import near


@dataclass(slots=True)
class StatementsRead:
    """A recipe by meaning: its results, and what holds for all of them."""

    results: list[Closure] = field(default_factory=list[Closure])
    defaults: dict[str, Written] = field(default_factory=dict[str, Written])
    model: tuple[s.Stage, NameScope] | None = None
    broken: bool = False  # something could not be read, so what looks unused may be used there
    found: list[Diagnostic] = field(default_factory=list[Diagnostic])  # in the texts of libraries
    theirs: dict[str, str] = field(default_factory=dict[str, str])  # values that libraries name, and which library


Libraries = dict[Path, Names]  # that were read, each once, however many use it


class Reader:
    """Reads the statements of one file from the top; what is wrong is reported and left out."""

    def __init__(
        self, names: Names, files: Files, choices: Choices, report: Report, libraries: Libraries | None = None
    ) -> None:
        self._names = names
        self._files = files
        self._choices = choices
        self._report = report
        self._read: Libraries = {} if libraries is None else libraries
        self._brought: dict[str, tuple[str, Definition | None]] = {}  # name -> the library that brought it, and its def
        self.reading = StatementsRead()

    def read(self, recipe: s.RecipeSyntax) -> StatementsRead:
        """Return all statements of a recipe."""
        for statement in recipe.statements:
            self._statement(statement)
        return self.reading

    def read_names(self, recipe: s.RecipeSyntax, chain: tuple[Path, ...]) -> StatementsRead:
        """Return the names alone of a file that another uses."""
        for statement in recipe.statements:
            if isinstance(statement, s.Use | s.Let | s.Def | s.Binding | s.Broken):
                self._statement(statement, chain)
        return self.reading

    def _statement(self, statement: s.Statement, chain: tuple[Path, ...] = ()) -> None:
        scope = NameScope(self._names, statement.span.start, self._choices)
        match statement:
            case s.Use():
                self._use(statement, chain)
            case s.Let():
                self._let(statement, scope)
            case s.Def():
                self._def(statement, scope)
            case s.DefaultsSyntax():
                self._defaults(statement, scope)
            case s.Binding(name=name, flow=flow):
                self._names.make(name, Name(name.span, flow=Closure(flow, scope)))
            # On a line of its own: the model of all flows.
            case s.FlowSyntax(parts=(s.Stage(family=s.Word(name="model")) as stage,)):
                if self.reading.model is not None:
                    first = self.reading.model[0]
                    self._report.add("RT206", stage.span, name="model", notes=(("first given here", first.span),))
                self.reading.model = (stage, scope)
            case s.FlowSyntax():
                self.reading.results.append(Closure(statement, scope))
            case s.Broken():
                self.reading.broken = True
                for name in statement.names:
                    self._names.unread(s.Word(name, span=statement.span))
            case _:
                pass

    # ------------------------------------------------------------ values

    def _let(self, let: s.Let, scope: NameScope) -> None:
        if len(let.names) > 1:
            # Rows go together: each name keeps its column, and all columns are the same list
            rows = let.value.items if isinstance(let.value, s.List) else ()
            wide = len(let.names)
            wrong = [row for row in rows if not (isinstance(row, s.RowSyntax) and len(row.items) == wide)]
            for row in wrong:
                count = len(row.items) if isinstance(row, s.RowSyntax) else 1
                what = f"this row has {_counted(count, 'value')}, and {_counted(wide, 'name')} wait for one each"
                self._report.add("RT410", row.span, what=what, mend=f"write {wide} values in ( )")
            if not rows:
                what, mend = "several names want a list of rows", 'write [("a.png", "a cat"), ("b.png", "a dog")]'
                self._report.add("RT410", let.value.span, what=what, mend=mend)
            written = None if wrong or not rows else scope.written(let.value)
            for i, name in enumerate(let.names):
                column = None
                if self._names.setting(name.name):
                    what, mend = f"'{name.name}' is one of several names of a row", "change the rows in the recipe"
                    self._report.add("RT410", name.span, what=what, mend=mend)
                elif written and isinstance(written.value, s.List):
                    items = tuple(row.items[i] for row in written.value.items if isinstance(row, s.RowSyntax))
                    column = replace(written, value=s.List(items, span=let.value.span, name=name.name))
                self._names.make(name, Name(name.span, value=column))
            return
        name = next(iter(let.names))
        said = self._names.setting(name.name)
        written = scope.bound(said) if said else scope.written(let.value)
        if written and isinstance(written.value, s.List):
            written = replace(written, value=replace(written.value, name=name.name))
        self._names.make(name, Name(name.span, value=written))

    def _def(self, line: s.Def, scope: NameScope) -> None:
        if line.name.name == "first":
            self._report.add("RT210", line.name.span, name="first")
        defaults = {p.name.name: scope.written(p.default) for p in line.params if p.default is not None}
        seen: dict[str, s.Span] = {}
        for param in line.params:
            if (place := seen.setdefault(param.name.name, param.name.span)) is not param.name.span:
                notes = (("first named here", place),)
                self._report.add("RT210", param.name.span, name=param.name.name, notes=notes)
        made = Definition(line, self._names, defaults)
        self._names.make(line.name, Name(line.name.span, made=made))

    def _defaults(self, statement: s.DefaultsSyntax, scope: NameScope) -> None:
        for option in statement.options:
            name = option.name.name
            if (first := self.reading.defaults.get(name)) is not None:
                notes = (("first given here", first.span),)
                self._report.add("RT206", option.span, name=name, notes=notes)
            elif written := scope.written(option.value, "defaults"):
                origin = written.origin if written.source else "defaults"
                self.reading.defaults[name] = replace(written, origin=origin, name=option.name.span)

    # ------------------------------------------------------------ libraries

    def _use(self, use: s.Use, chain: tuple[Path, ...]) -> None:
        path = self._files.used(use.path, chain)
        prefix = f"{use.alias.name}." if use.alias else ""
        if path is None:
            self.reading.broken = True
            self._names.lacks.add(prefix)
            return
        names = self._read[path] if path in self._read else self._library(use, path, chain)
        if names.lacks:
            self.reading.broken = True
            self._names.lacks.add(prefix)
        brought = {name: made for name, made in names.all.items() if not (made.value or made.is_flow)}
        for name, made in brought.items():
            if prefix and "." in name:
                continue  # no recipe can write s.t.swap
            called = prefix + name
            if (before := self._brought.get(called)) is not None:
                if before[1] is not made.made:  # two libraries may use a third
                    first, second = (f'"{each}"' for each in (before[0], use.path.value))
                    self._report.add("RT219", use.span, name=called, first=first, second=second)
                continue
            self._brought[called] = use.path.value, made.made
            made.used = True  # a library may hold more than one recipe calls
            place = use.alias.span if use.alias else use.path.span
            if prefix:
                self._names.all[called] = replace(made, span=place)
            else:
                self._names.make(s.Word(called, span=place), replace(made, span=place))

    def _library(self, use: s.Use, path: Path, chain: tuple[Path, ...]) -> Names:
        """Read a file that nobody used before; its defs see their own file alone."""
        with path.open("rb") as opened:
            data = opened.read(LIMIT_LENGTH + 1)  # as much as shows that it is too long
        file = s.File(use.path.value, normal(readable(data)))
        recipe, found = parse(data)
        self.reading.found += [replace(item, span=replace(item.span, file=file)) for item in found]
        placed = s.placed(recipe, file)
        names = Names(placed, SourceText(file.text, file.name), {}, self._report)
        reader = Reader(names, self._files.below(path.parent), self._choices, self._report, self._read)
        read = reader.read_names(placed, (*chain, path))
        self.reading.found += read.found
        values = {name: use.path.value for name, made in names.all.items() if made.value}
        self.reading.theirs |= {**read.theirs, **values}
        if found or read.broken:
            names.lacks.add("")
        for name in dict.fromkeys(filter(None, map(_holds_for_all, placed.statements))):
            self._report.add("RT562", use.path.span, name=name, path=use.path.value)
        self._read[path] = names
        return names


def _holds_for_all(statement: s.Statement) -> str | None:
    """What a statement sets for all flows of its own file; None of any other statement."""
    match statement:
        case s.DefaultsSyntax():
            return "defaults"
        case s.FlowSyntax(parts=(s.Stage(family=s.Word(name="model")),)):
            return "model"
        case _:
            return None


def missing(name: str, names: Names) -> str:
    """Suggest a def for a name that is none."""
    defs = [other for other, made in names.all.items() if made.made]
    return near(name, [*defs, "first"]) or (f"defs: {', '.join(defs)}" if defs else f"make it above: def {name}() = …")


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
