"""A flow as it is written, read out for one variant: names and calls replaced by their text, lists by one item."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from retouch.check.reading.calls import FLOW, CallReader, StageCall
from retouch.check.reading.defs import bound, definition
from retouch.check.reading.files import Files
from retouch.check.reading.model_stage import read_model
from retouch.check.reading.names import BoundTurn, Closure, NameScope
from retouch.check.reading.variants import label
from retouch.graph.limits import MOST_STAGES
from retouch.lang import syntax as s
from retouch.lang.diagnostics import Report
from retouch.plugins.registry import Registry
from retouch.plugins.signatures import StageCard

LEAVING = ("sample", "model", "crop", "paste")  # families after which the picture, or its model, is another


@dataclass(frozen=True, slots=True)
class Alternatives:
    """Alternatives: what flows on is made by the first of them that holds what it requires."""

    alternatives: tuple[tuple[StageCall, ...], ...]
    span: s.Span


Flow = tuple[StageCall | Alternatives, ...]


def calls_of(flow: Flow) -> Iterator[StageCall]:
    """Return every call of a flow, those of all alternatives among them."""
    for part in flow:
        if isinstance(part, Alternatives):
            for alternative in part.alternatives:
                yield from alternative
        else:
            yield part


class TooLong(Exception):
    """A flow is longer than any that makes sense."""


@dataclass(slots=True)
class FlowReader:
    """Reads flows to stages in a row."""

    registry: Registry
    files: Files
    report: Report
    broken: bool = False
    cards: dict[str, StageCard] = field(default_factory=dict[str, StageCard])  # of the stages that were read
    read_flows: set[s.Span] = field(default_factory=set[s.Span])
    _left: int = MOST_STAGES

    def read(self, closure: Closure) -> Flow | None:
        """Return all stages of a flow in this variant; None if one of them could not be read."""
        with self.report.looking_at(None):  # it says the same to every picture
            self._left = MOST_STAGES
            try:
                found = list(self._flow(closure, first=True))
            except TooLong:
                what, mend = "stages in one flow", "sample, save the result, and go on in another recipe"
                span, most = closure.flow.span, MOST_STAGES
                self.report.add("RT404", span, what=what, count=most + 1, limit=most, mend=mend)
                return None
            if None in found:
                self.broken = True
                return None
            flow = tuple(self._named_by_fields(part, closure.scope) for part in found if part)
            if None in flow:
                self.broken = True
                return None
            return tuple(part for part in flow if part)

    def _named_by_fields(self, part: StageCall | Alternatives, scope: NameScope) -> StageCall | Alternatives | None:
        """An `open` whose path has fields, with the file that it names in this variant."""
        given = part.given.get("path") if isinstance(part, StageCall) and part.card.family == "open" else None
        if not isinstance(part, StageCall) or given is None or not isinstance(given.value, str):
            return part
        text = self.files.filled(given, given.value, scope.choices.fields())
        return None if text is None else replace(part, given={**part.given, "path": replace(given, value=text)})

    def _flow(self, closure: Closure, first: bool) -> Iterator[StageCall | Alternatives | None]:
        self.read_flows.add(closure.flow.span)
        for i, part in enumerate(closure.flow.parts):
            yield from self._part(part, closure.scope, first and i == 0)

    def _part(self, part: s.SyntaxNode, scope: NameScope, first: bool) -> Iterator[StageCall | Alternatives | None]:
        match part:
            # A lone word is a family or a flow's name; the grammar cannot know which, the scope does.
            case s.Stage() if _bare(part) and part.family.name in scope:
                yield from self._named(part.family, scope, first)
            case s.Stage() if _bare(part) and not first and scope.is_below(part.family.name):
                self.report.add("RT224", part.family.span, name=part.family.name)
                yield None
            case s.Stage(family=s.Word(name="model")):
                yield read_model(CallReader(self.registry, self.files, self.report), self.files, part, scope)
            case s.Stage():
                if not first and part.family.name == "open":
                    self.report.add("RT224", part.family.span, name="open")
                    yield None
                else:
                    yield self._stage(part, scope)
            case s.Stage(operand=(_, *_)) if (made := scope.get(part.family.name)) and made.made and not part.methods:
                made.used = True
                option = part.options[0].name.name if part.options else ""
                self.report.add("RT130", (part.options or part.operand)[0].span, name=part.family.name, option=option)
                yield None
            case s.CallSyntax(name=name) if name.name not in scope and self.registry.methods(name.name):
                yield self._in_brackets(part, scope)
            case s.CallSyntax(name=s.Word(name="first")):
                yield self._first(part, scope)
            case s.CallSyntax():
                yield from self._call(part, scope, first)
            case s.List():
                yield from self._list(part, scope)
            case _:
                yield None

    def _stage(self, stage: s.Stage, scope: NameScope) -> StageCall | None:
        # Counted over all defs that a flow calls: a few lines of defs that call each other twice make millions of them.
        self._left -= 1
        if self._left < 0:
            raise TooLong
        call = CallReader(self.registry, self.files, self.report).read(stage, scope)
        if call is None:
            return None
        self.cards[call.card.name] = call.card
        # Read here too, so that a mistake in it is told where nothing uses the flow, and lists in it are met.
        inner = [list(self._flow(turn, first=True)) for turn in call.turns.values()]
        return None if any(None in flow for flow in inner) else call

    def _in_brackets(self, call: s.CallSyntax, scope: NameScope) -> StageCall | None:
        """`tiles (dog)`: a stage that works on a flow which a name or a call stands for."""
        if len(call.args) == 1 and not call.named:
            operand = s.GroupSyntax(call.args, span=call.args[0].span)
            return self._stage(s.Stage(call.name, (), (operand,), (), span=call.span), scope)
        name, card = call.name.name, self.registry.default(call.name.name)
        if card and card.operand == "flow" and not (call.args or call.named):
            self.report.add("RT241", call.span, stage=name, mend=f"write {name} (invert ddim | …)")
            return None
        if card is None or card.operand != "flow":
            mend = f"write {name} …, without ( )"
        else:
            mend = " ".join([f"write {name} (invert ddim | …)", *(f"{option.name.name}=…" for option in call.named)])
        what = "has its options behind its brackets" if call.named else "has one flow in its brackets"
        self.report.add("RT223", call.span, stage=name, what=what, mend=mend)
        return None

    # ------------------------------------------------------------ names

    def _named(self, word: s.Word | s.Ref, scope: NameScope, first: bool) -> Iterator[StageCall | Alternatives | None]:
        """Read a flow in the place of its name."""
        name = scope.find(word)
        if not first:
            self.report.add("RT224", word.span, name=word.name)
            yield None
        elif name and name.value and isinstance(kept := scope.one(name.value, FLOW).value, BoundTurn):
            yield from self._flow(kept.closure, first=True)
        elif name is None or name.flow is None:
            if name and (name.value or name.made):
                got = "a value" if name.value else "a def"
                mend = f"write open path={word.name}" if name.value else f"call it: {word.name}(…)"
                self.report.add("RT207", word.span, name="a flow", wanted="the name of a flow", got=got, mend=mend)
            yield None
        else:
            yield from self._flow(name.flow, first=True)

    def _list(self, items: s.List, scope: NameScope) -> Iterator[StageCall | Alternatives | None]:
        """Read the one of a list of flows that this variant takes."""
        if not items.items:
            yield None
            return
        item = scope.choices.take(items.span, FLOW, items.items, label)
        match item:
            case s.Ref():
                yield from self._named(item, scope, first=True)
            case s.CallSyntax():
                yield from self._part(item, scope, first=True)
            case _:
                mend = "name the flows above, and list their names"
                wanted = "the names of flows"
                self.report.add("RT207", item.span, name="this list", wanted=wanted, got="something else", mend=mend)
                yield None

    # ------------------------------------------------------------ defs

    def _call(self, call: s.CallSyntax, scope: NameScope, first: bool) -> Iterator[StageCall | Alternatives | None]:
        made = definition(call, scope, self.report)
        own = bound(call, made, scope, self.report) if made else None
        if made is None or own is None:
            yield None
            return
        inside = NameScope(made.names, made.line.span.start, scope.choices, own)
        yield from self._flow(Closure(made.line.body, inside), first)

    # ------------------------------------------------------------ alternatives

    def _first(self, call: s.CallSyntax, scope: NameScope) -> Alternatives | None:
        for option in call.named:
            what = f"has no parameter '{option.name.name}'"
            self.report.add("RT214", option.span, name="first", what=what, mend="first(a(), b())")
            return None
        if len(call.args) < 2:
            self.report.add("RT214", call.span, name="first", what="needs two ways or more", mend="first(a(), b())")
            return None
        ways = [self._way(arg, scope) for arg in call.args]
        return None if None in ways else Alternatives(tuple(way for way in ways if way), call.span)

    def _way(self, arg: s.Value, scope: NameScope) -> tuple[StageCall, ...] | None:
        if not isinstance(arg, s.CallSyntax):
            what, mend = "takes calls of defs", "first(a(), b()), with def a() = … above"
            self.report.add("RT214", arg.span, name="first", what=what, mend=mend)
            return None
        found = list(self._part(arg, scope, first=False))
        calls = [part for part in found if isinstance(part, StageCall)]
        ends = next((call for call in calls if _leaves(call)), None)
        if any(isinstance(part, Alternatives) for part in found) or ends:
            what = f"'{ends.card.name}' ends or leaves the turn" if ends else "'first' stands inside of 'first'"
            self.report.add("RT309", arg.span, what=what)
            return None
        return tuple(calls) if len(calls) == len(found) else None


def _leaves(call: StageCall) -> bool:
    """Return whether the picture, or its model, is another after a stage, or nothing follows it."""
    return call.card.family in LEAVING or call.card.edits_latents or call.card.output is None


def _bare(stage: s.Stage) -> bool:
    return not (stage.methods or stage.operand or stage.options)
