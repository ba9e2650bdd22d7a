"""A stage of the recipe, read against its card: what it works on, its options, and the flows it takes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from retouch.check.reading import option_values
from retouch.check.reading.edits import Change, read_edit
from retouch.check.reading.environment import Written
from retouch.check.reading.files import Files
from retouch.check.reading.given import Given
from retouch.check.reading.meant_options import CALLED, elsewhere, of_text
from retouch.check.reading.names import BoundTurn, Closure, NameScope, one_of
from retouch.check.reading.resolve_stage import resolve_stage
from retouch.check.reading.variants import PICTURES
from retouch.graph.ports import CANDIDATES, PICTURE, TURN, options
from retouch.lang import syntax as s
from retouch.lang.diagnostics import Report
from retouch.near import near, nearest
from retouch.plugins.registry import Registry
from retouch.plugins.signatures import Option, Port, StageCard

FLOW = "flow"  # the axis of a list of flows


@dataclass(frozen=True, slots=True)
class Other:
    """A flow that another takes a value from, under the name that it is given by."""

    name: str
    span: s.Span
    flow: Closure


@dataclass(frozen=True, slots=True)
class StageCall:
    """One stage with what is written on it, and nothing else."""

    card: StageCard
    span: s.Span = s.NOWHERE
    given: Mapping[str, Given] = field(default_factory=dict[str, Given])
    edit: tuple[Change, ...] = ()  # beside the method: the turn's
    own_edit: tuple[Change, ...] = ()  # edit=…: the turn's if it has no other, else for this stage alone
    flows: Mapping[str, tuple[Other, ...]] = field(default_factory=dict[str, tuple[Other, ...]])
    turns: Mapping[str, Closure] = field(default_factory=dict[str, Closure])  # flows as values, by port
    put_in: str | None = None

    @property
    def makes_turns(self) -> bool:
        """Whether it makes another picture, or several, by flows of its own, each of which is a turn."""
        return bool(self.turns) and self.card.output in PICTURE | {CANDIDATES}


class CallReader:
    """Reads stages to calls under the present choices; one that is wrong is reported and becomes None."""

    def __init__(self, registry: Registry, files: Files, report: Report) -> None:
        self._registry = registry
        self._files = files
        self._report = report

    def read(self, stage: s.Stage, scope: NameScope) -> StageCall | None:
        before = self._report.wrong
        card = resolve_stage(stage, self._registry, scope, self._report)
        if card is None:
            # Names in an unknown stage count as used, so that they are not reported as well.
            for node in s.walk((stage.operand, stage.options)):
                if isinstance(node, s.Ref) and (name := scope.get(node.name)):
                    name.used = True
            return None
        return self.read_as(card, stage, scope, before)

    def read_as(self, card: StageCard, stage: s.Stage, scope: NameScope, before: int | None = None) -> StageCall | None:
        """Read a stage against a card that is known."""
        before = self._report.wrong if before is None else before
        given: dict[str, Given] = {}
        edit = self._operand(stage, card, scope, given)
        turns = self._turns(stage, card, scope)
        flows = dict(self._flows(stage, card, scope))
        own_edit: tuple[Change, ...] = ()
        read_already = {*flows, *(port.name for port in card.ports if port.type == TURN)}
        for option in self._once(stage):
            if option.name.name == "edit" and card.edits:
                own_edit = read_edit((option.value,), scope, self._report) or ()
            elif option.name.name not in read_already:
                name = option.name.name
                known = options(card)
                if name not in known:
                    self._unknown(option, card, scope)
                elif name in given:
                    notes = (("first given here", given[name].span),)
                    self._report.add("RT206", option.span, name=name, notes=notes)
                elif written := self._written(option.value, known[name], scope):
                    self._value(known[name], written, card, scope, given, option.span)
        wrong = self._report.wrong > before
        if card.stability == "experimental":
            self._report.add("RT907", stage.span, stage=card.name)
        return None if wrong else StageCall(card, stage.span, given, edit, own_edit, flows, turns)

    def _once(self, stage: s.Stage) -> Iterator[s.OptionSyntax]:
        seen: dict[str, s.Span] = {}
        for option in stage.options:
            name = option.name.name
            if name in seen:
                self._report.add("RT206", option.span, name=name, notes=(("first given here", seen[name]),))
            else:
                seen[name] = option.span
                yield option

    def _operand(
        self, stage: s.Stage, card: StageCard, scope: NameScope, given: dict[str, Given]
    ) -> tuple[Change, ...]:
        if not stage.operand:
            return ()
        first = stage.operand[0]
        span = first.span.to(stage.operand[-1].span)
        if card.operand == "flow":
            return ()
        if isinstance(first, s.TurnSyntax):
            others = [other.name for other in self._registry.cards if other.operand == "flow"]
            takes = f"{', '.join(others)}: write {others[0]} (…)" if others else "no installed stage does"
            self._report.add("RT240", span, stage=card.name, takes=takes)
            return ()
        if card.operand == "edit":
            return read_edit(stage.operand, scope, self._report) or ()
        if card.operand is None:
            names = ", ".join(options(card)) or "none"
            self._report.add("RT223", span, stage=card.name, what="takes nothing to work on", mend=f"options: {names}")
        elif not isinstance(first, s.Text | s.List):
            wanted, mend = ("a file", '"cat.png"') if card.operand == "path" else ("a name", '"…"')
            self._report.add("RT223", span, stage=card.name, what=f"takes {wanted}, not an edit", mend=f"write {mend}")
        elif written := scope.written(first):
            self._value(options(card)["path" if card.operand == "path" else "name"], written, card, scope, given)
        return ()

    def _value(
        self,
        option: Option,
        written: Written,
        card: StageCard,
        scope: NameScope,
        given: dict[str, Given],
        span: s.Span | None = None,
    ) -> None:
        """Keep what an option is given: one item of a list, one file of a pattern."""
        value = option_values.read(option, written, scope.choices, self._report)
        if (
            option.name == "path"
            and card.takes("Pictures")
            and isinstance(value, str)
            and self._files.is_pattern(value)
        ):
            found = self._files.matching(written, value)
            place = span or written.span
            value = (
                scope.choices.take(place, PICTURES, found, lambda path: Path(path).stem)
                if found
                else option_values.REFUSED
            )
        items = option_values.places(option.kind, written)
        given[option.name] = Given(value, span or written.span, written.origin, written.source, items)

    def _written(self, value: s.Value, option: Option, scope: NameScope) -> Written | None:
        if isinstance(value, s.Ref) and value.name not in scope:
            if meant := nearest(value.name, map(str, option.kind.choices)):
                scope.find(value, near(value.name, scope.known()) or f'write it in quotes: "{meant}"')
                return None
            if option.kind.type != "text" and not scope.is_below(value.name):
                example = option_values.example(option)
                known = [*scope.known(), *(("true", "false") if option.kind.type == "bool" else ())]
                scope.find(value, near(value.name, known) or f"write {option.name}={example}")
                return None
        return scope.written(value)

    def _unknown(self, option: s.OptionSyntax, card: StageCard, scope: NameScope) -> None:
        name = option.name.name
        known = [*options(card), *(port.name for port in card.ports)]
        methods = {method: self._registry.find(card.family, method) for method in self._registry.methods(card.family)}
        others = [method for method, other in methods.items() if other and other.option(name) is not None]
        mend = near(name, known) or (f"options: {', '.join(options(card))}" if options(card) else "it has none")
        if (called := CALLED.get(name)) in known:
            mend = f"it is called '{called}' here"
        elif there := elsewhere(name, option.value):
            mend = there
        elif others:
            mend += f"; '{card.family} {others[0]}' has it"
        self._report.add("RT205", option.name.span, stage=card.name, name=name, mend=mend)
        # The name that it was given counts as used all the same, or is unknown as well.
        if isinstance(option.value, s.Ref):
            scope.find(option.value)

    def _flows(self, stage: s.Stage, card: StageCard, scope: NameScope) -> Iterator[tuple[str, tuple[Other, ...]]]:
        """Ports that are given by name: `mask=area`; a list is an axis, or for a port that takes many all of them."""
        for option in stage.options:
            name = option.name.name
            port = card.port(name)
            if port is None or port.type == TURN or name in options(card) or (name == "edit" and card.edits):
                continue
            items: tuple[s.Value, ...] = (option.value,)
            if isinstance(option.value, s.List) and option.value.items:
                items = option.value.items if port.many else (one_of(option.value, name, scope.choices),)
            yield name, tuple(other for item in items if (other := self._other(item, port, scope)))

    # ------------------------------------------------------------ flows as values

    def _turns(self, stage: s.Stage, card: StageCard, scope: NameScope) -> dict[str, Closure]:
        """The flow in brackets that a stage works on, and those that are given by name."""
        ports = [port.name for port in card.ports if port.type == TURN]
        written = [(option.name.name, option.value) for option in stage.options if option.name.name in ports]
        if ports and stage.operand:
            written.append((ports[0], stage.operand[0]))
        if ports and stage.operand and any(name == ports[0] for name, _ in written[:-1]):
            self._report.add("RT206", stage.operand[0].span, name=ports[0], notes=())
        found = {name: self._turn(value, name, scope) for name, value in written}
        return {name: closure for name, closure in found.items() if closure is not None}

    def _turn(self, value: s.Value | BoundTurn, port: str, scope: NameScope) -> Closure | None:
        """A flow with the names that it sees: as it is written here, as a name or a def stands for it."""
        if isinstance(value, s.Ref):
            return self._named_turn(value, port, scope)
        if isinstance(value, s.List) and value.items:
            return self._turn(one_of(value, FLOW, scope.choices), port, scope)
        if isinstance(value, BoundTurn):
            return value.closure
        if flow := s.as_flow(value):
            return Closure(flow, scope)
        return self._no_turn(value, port, option_values.described(value), "write (invert ddim | …)")

    def _named_turn(self, name: s.Ref, port: str, scope: NameScope) -> Closure | None:
        found = scope.find(name, f"keep a flow as {name.name} = …")
        if found and found.value:
            return self._turn(scope.one(found.value, FLOW).value, port, scope)
        if found and found.made:
            return self._no_turn(name, port, "a def", f"call it: {port}={name.name}(…)")
        return found and found.flow

    def _no_turn(self, value: s.SyntaxNode, port: str, got: str, mend: str) -> None:
        self._report.add("RT207", value.span, name=port, wanted="a flow in brackets", got=got, mend=mend)

    def _other(self, item: s.Value, port: Port, scope: NameScope) -> Other | None:
        if not isinstance(item, s.Ref):
            self._not_a_flow(item, port, option_values.described(item))
            return None
        found = scope.find(item, f"keep a flow as {item.name} = …")
        if found and not found.flow and (found.value or found.made):
            self._not_a_flow(item, port, "a value" if found.value else "a def")
        return Other(item.name, item.span, found.flow) if found and found.flow else None

    def _not_a_flow(self, item: s.Value, port: Port, got: str) -> None:
        mend = f"keep the flow as area = …, then write {port.name}=area"
        mend = of_text(port.type, item) or mend
        self._report.add("RT207", item.span, name=port.name, wanted="the name of a flow", got=got, mend=mend)
