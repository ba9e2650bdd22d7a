"""Reading a recipe's statements in order: names, flows of stages, settings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from retouch.graph.calls import Call, CallReader
from retouch.graph.limits import MOST_STAGES
from retouch.graph.scope import Flow, Scope
from retouch.graph.world import World, Written
from retouch.lang import syntax as s
from retouch.lang.diagnostics import Report


@dataclass(slots=True)
class Reading:
    """A recipe by meaning: its results as stages in a row, and what holds for all of them."""

    results: list[tuple[Flow, s.Span]] = field(default_factory=list[tuple[Flow, s.Span]])
    defaults: dict[str, Written] = field(default_factory=dict[str, Written])
    model: s.Stage | None = None
    broken: bool = False  # something could not be read, so what looks unused may be used there


class Reader:
    """Reads statements from the top; what is wrong is reported and left out."""

    def __init__(self, world: World, scope: Scope, report: Report) -> None:
        self._world = world
        self._scope = scope
        self._report = report
        self._calls = CallReader(world.registry, scope, report)
        self.reading = Reading()

    def read(self, recipe: s.Recipe) -> Reading:
        for statement in recipe.statements:
            if isinstance(statement, s.Defaults):  # they hold for the whole file, wherever they stand
                self._defaults(statement)
        for statement in recipe.statements:
            self._statement(statement)
        return self.reading

    def _statement(self, statement: s.Statement) -> None:
        match statement:
            case s.Let():
                self._let(statement)
            case s.Binding(name=name, flow=flow):
                self._scope.flow(name, self._flow(flow))
            case s.Flow(parts=(s.Stage(family=s.Word(name="model")) as stage,)):
                self._model(stage)
            case s.Flow():
                self._result(statement)
            case s.Use():
                self._not_yet(statement.span, "use", "write what it brings into this recipe")
            case s.Def(name=name):
                self._not_yet(statement.span, "def", "write its stages where it is called")
                self._scope.unread(name)
            case s.Broken():
                self.reading.broken = True
            case _:
                pass

    def _not_yet(self, span: s.Span, what: str, mend: str) -> None:
        self.reading.broken = True
        self._report.add("RT414", span, what=what, mend=mend)

    def _let(self, let: s.Let) -> None:
        if isinstance(let.value, s.List) or len(let.names) > 1:
            self._not_yet(let.value.span, "a list of values to try", "give one value")
            for name in let.names:
                self._scope.unread(name)
            return
        for node in s.walk(let.value):
            if isinstance(node, s.Ref) and node is not let.value:
                self._scope.find(node)
        for name in let.names:
            self._scope.let(name, let.value)

    def _defaults(self, statement: s.Defaults) -> None:
        for option in statement.options:
            name = option.name.name
            if (first := self.reading.defaults.get(name)) is not None:
                notes = (("first given here", first.span),)
                self._report.add("RT206", option.span, name=name, notes=notes)
            elif isinstance(option.value, s.Ref):
                self._not_yet(option.value.span, "a name in 'defaults'", "write the value itself")
            else:
                self.reading.defaults[name] = Written(
                    option.value, option.value.span, "defaults", name=option.name.span
                )

    def _model(self, stage: s.Stage) -> None:
        if (first := self.reading.model) is not None:
            self._report.add("RT206", stage.span, name="model", notes=(("first given here", first.span),))
        self.reading.model = stage

    def _result(self, flow: s.Flow) -> None:
        calls = self._flow(flow)
        if calls is None:
            return
        if all(call.card.family == "open" for call in calls):
            mend = "go on with '|', or give it a name"
            self._report.add("RT221", flow.span, label="it only opens a picture", mend=mend)
        else:
            self.reading.results.append((calls, flow.span))

    def _flow(self, flow: s.Flow) -> Flow | None:
        """All stages of a flow, a named beginning written out; None if one of them could not be read."""
        found = [calls for i, part in enumerate(flow.parts) for calls in self._part(part, first=i == 0)]
        if len(found) > MOST_STAGES:
            what, mend = "stages in one flow", "sample, save the result, and go on in another recipe"
            self._report.add("RT404", flow.span, what=what, count=len(found), limit=MOST_STAGES, mend=mend)
            return None
        if any(call is None for call in found):
            self.reading.broken = True
            return None
        return tuple(call for call in found if call)

    def _part(self, part: s.Stage | s.Call | s.List | s.Bad, first: bool) -> Iterator[Call | None]:
        match part:
            case s.Stage() if _bare(part) and part.family.name in self._scope.names:
                yield from self._named(part, first)
            case s.Stage():
                if not first and part.family.name == "open":
                    self._report.add("RT224", part.family.span, name="open")
                    yield None
                else:
                    yield self._calls.read(part)
            case s.Call(name=name):
                what = f"{name.name}(…)"
                self._not_yet(part.span, what, "write its stages here")
                yield None
            case s.List():
                self._not_yet(part.span, "a list of flows", "write a line for each")
                yield None
            case s.Bad():
                yield None

    def _named(self, stage: s.Stage, first: bool) -> Iterator[Call | None]:
        """A name at the start of a flow stands for its text."""
        name = self._scope.find(stage.family)
        if not first:
            self._report.add("RT224", stage.span, name=stage.family.name)
            yield None
        elif name is None or name.flow is None:
            if name and name.value:
                wanted, mend = "the name of a flow", f"write open path={stage.family.name}"
                self._report.add("RT207", stage.span, name="a flow", wanted=wanted, got="a value", mend=mend)
            yield None
        else:
            yield from name.flow


def _bare(stage: s.Stage) -> bool:
    return not (stage.methods or stage.operand or stage.options)
