"""A stage of the recipe, read against its card: what it works on, its options, and the flows it takes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from retouch.cards import StageCard
from retouch.graph import values
from retouch.graph.edits import Change, read_edit
from retouch.graph.ports import options
from retouch.graph.scope import Name, Scope, near
from retouch.graph.which import card_of
from retouch.graph.world import Written
from retouch.lang import syntax as s
from retouch.lang.diagnostics import Report
from retouch.registry import Registry


@dataclass(frozen=True, slots=True)
class Given:
    """A checked value, and where it was given."""

    value: Any
    span: s.Span
    origin: str
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One stage with what is written on it, and nothing else."""

    card: StageCard
    span: s.Span = s.NOWHERE
    given: Mapping[str, Given] = field(default_factory=dict[str, Given])
    edit: tuple[Change, ...] = ()  # beside the method: the turn's
    own_edit: tuple[Change, ...] = ()  # edit=…: the turn's if it has no other, else for this stage alone
    flows: Mapping[str, tuple[s.Ref, ...]] = field(default_factory=dict[str, tuple[s.Ref, ...]])
    put_in: str | None = None

    @property
    def takes_edit(self) -> bool:
        return self.card.operand == "edit"


class CallReader:
    """Reads stages to calls; one that is wrong is reported and becomes None."""

    def __init__(self, registry: Registry, scope: Scope, report: Report) -> None:
        self._registry = registry
        self._scope = scope
        self._report = report

    def read(self, stage: s.Stage) -> Call | None:
        before = len(self._report.items)
        card = card_of(stage, self._registry, self._scope, self._report)
        if card is None:
            self._look_up(stage)
            return None
        given: dict[str, Given] = {}
        edit = self._operand(stage, card, given)
        flows = dict(self._flows(stage, card))
        own_edit: tuple[Change, ...] = ()
        for option in self._once(stage):
            if option.name.name == "edit" and card.operand == "edit":
                own_edit = read_edit((option.value,), self._scope, self._report) or ()
            elif option.name.name not in flows:
                self._option(option, card, given)
        wrong = any(item.severity == "error" for item in self._report.items[before:])
        if card.stability == "experimental":
            self._report.add("RT907", stage.span, stage=card.name)
        return None if wrong else Call(card, stage.span, given, edit, own_edit, flows)

    def _look_up(self, stage: s.Stage) -> None:
        """Names in a stage that is not known are still used."""
        for node in s.walk((stage.operand, stage.options)):
            if isinstance(node, s.Ref) and node.name in self._scope.names:
                self._scope.names[node.name].used = True

    def _once(self, stage: s.Stage) -> Iterator[s.Option]:
        seen: dict[str, s.Span] = {}
        for option in stage.options:
            name = option.name.name
            if name in seen:
                self._report.add("RT206", option.span, name=name, notes=(("first given here", seen[name]),))
            else:
                seen[name] = option.span
                yield option

    def _operand(self, stage: s.Stage, card: StageCard, given: dict[str, Given]) -> tuple[Change, ...]:
        if not stage.operand:
            return ()
        first = stage.operand[0]
        span = s.Span(first.span.start, stage.operand[-1].span.end)
        if card.operand == "edit":
            return read_edit(stage.operand, self._scope, self._report) or ()
        if card.operand is None:
            names = ", ".join(options(card)) or "none"
            self._report.add("RT223", span, stage=card.name, what="takes nothing to work on", mend=f"options: {names}")
        elif isinstance(first, s.List):
            self._report.add("RT414", span, what="a list of values to try", mend="write one of them")
        elif not isinstance(first, s.Text):
            wanted, mend = ("a file", '"cat.png"') if card.operand == "path" else ("a name", '"…"')
            self._report.add("RT223", span, stage=card.name, what=f"takes {wanted}, not an edit", mend=f"write {mend}")
        else:
            name = "path" if card.operand == "path" else "name"
            given[name] = Given(first.value, first.span, "recipe")
        return ()

    def _option(self, option: s.Option, card: StageCard, given: dict[str, Given]) -> None:
        name = option.name.name
        known = options(card)
        if name not in known:
            self._unknown(option, card)
        elif name in given:
            notes = (("first given here", given[name].span),)
            self._report.add("RT206", option.span, name=name, notes=notes)
        elif written := self._written(option.value, known[name].kind.choices):
            value = values.read(known[name], written, self._report)
            given[name] = Given(value, option.span, written.origin, written.source)

    def _written(self, value: s.Value, choices: tuple[Any, ...]) -> Written | None:
        if isinstance(value, s.Ref) and value.name in choices and value.name not in self._scope.names:
            self._scope.find(value, f'write it in quotes: "{value.name}"')
            return None
        return self._scope.written(value, "recipe")

    def _unknown(self, option: s.Option, card: StageCard) -> None:
        name = option.name.name
        known = [*options(card), *(port.name for port in card.ports)]
        others = [m for m in self._registry.methods(card.family) if self._has(card.family, m, name)]
        mend = near(name, known) or (f"options: {', '.join(options(card))}" if options(card) else "it has none")
        if others:
            mend += f"; '{card.family} {others[0]}' has it"
        self._report.add("RT205", option.name.span, stage=card.name, name=name, mend=mend)
        if isinstance(option.value, s.Ref):
            self._scope.find(option.value)

    def _has(self, family: str, method: str, option: str) -> bool:
        card = self._registry.find(family, method)
        return card is not None and card.option(option) is not None

    def _flows(self, stage: s.Stage, card: StageCard) -> Iterator[tuple[str, tuple[s.Ref, ...]]]:
        """Ports that are given by name: `mask=area`."""
        for option in stage.options:
            name = option.name.name
            port = card.port(name)
            if port is None or name in options(card) or (name == "edit" and card.operand == "edit"):
                continue
            items = option.value.items if isinstance(option.value, s.List) and port.many else (option.value,)
            yield name, tuple(item for item in items if isinstance(item, s.Ref) and self._is_flow(item, name))
            for item in items:
                if not isinstance(item, s.Ref):
                    self._not_a_flow(item, name, values.described(item))

    def _is_flow(self, ref: s.Ref, port: str) -> bool:
        found: Name | None = self._scope.find(ref, f"keep a flow as {ref.name} = …")
        if found and not found.is_flow and found.value:
            self._not_a_flow(ref, port, "a value")
        return bool(found and found.is_flow)

    def _not_a_flow(self, item: s.Value, port: str, got: str) -> None:
        mend = f"keep the flow as area = …, then write {port}=area"
        self._report.add("RT207", item.span, name=port, wanted="the name of a flow", got=got, mend=mend)
