"""A flow as it is written, read out for one variant: names and calls replaced by their text, lists by one item."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from retouch.check.reading.calls import FLOW, CallReader, StageCall
from retouch.check.reading.files import Files, fields_of
from retouch.check.reading.given import Given
from retouch.check.reading.names import BoundTurn, Closure, Definition, Name, NameScope, one_of
from retouch.check.reading.statements import missing
from retouch.check.reading.variants import label
from retouch.graph.limits import MOST_STAGES
from retouch.lang import syntax as s
from retouch.lang.diagnostics import Report
from retouch.plugins.registry import Registry
from retouch.plugins.signatures import Kind, Option, StageCard

# `model` is a stage of the language itself: it makes nothing, and what follows works with another model.
MODEL = StageCard(
    "model",
    "use",
    module="",
    function="",
    file="",
    line=0,
    options=(
        Option("name", "name", Kind("text"), required=True),
        Option("revision", "revision", Kind("text")),
        Option("base", "base", Kind("text")),
        Option("vae", "vae", Kind("text")),
        Option("lora", "lora", Kind("text", many=True)),
    ),
)

LEAVING = ("sample", "model", "crop", "paste")  # families after which the picture, or its model, is another


def read_model(reader: CallReader, files: Files, stage: s.Stage, scope: NameScope) -> StageCall | None:
    """Read a `model` stage; `{w}` in one of its texts is the name of a value, and an axis where that is a list."""
    call = reader.read_as(MODEL, stage, scope)
    if call is None:
        return None
    given = {name: _with_values(each, files, scope) for name, each in call.given.items()}
    found = {name: each for name, each in given.items() if each is not None}
    return replace(call, given=found) if len(found) == len(given) else None


def _with_values(given: Given, files: Files, scope: NameScope) -> Given | None:
    """The texts of an option with the values that names in brackets stand for."""
    several = isinstance(given.value, tuple)
    texts = [files.filled(given, text, _values(text, scope)) for text in (given.value if several else (given.value,))]
    whole = tuple(text for text in texts if text is not None)
    if len(whole) < len(texts):
        return None
    return replace(given, value=whole if several else whole[0])


def _values(text: str, scope: NameScope) -> dict[str, str]:
    """What the names in the brackets of a text stand for in this variant."""
    found: dict[str, str] = {}
    for name in fields_of(text):
        if (made := scope.get(name)) and made.value:
            made.used = True
            value = made.value.value
            found[name] = label(one_of(value, name, scope.choices) if isinstance(value, s.List) else value)
    return found


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
        made = self._definition(call, scope)
        own = self._bound(call, made, scope) if made else None
        if made is None or own is None:
            yield None
            return
        inside = NameScope(made.names, made.line.span.start, scope.choices, own)
        yield from self._flow(Closure(made.line.body, inside), first)

    def _definition(self, call: s.CallSyntax, scope: NameScope) -> Definition | None:
        name = call.name.name
        found = scope.get(name)
        if found:
            found.used = True
        if found and found.made:
            return found.made
        # A def does not see itself; who calls it from within is told that, and not that there is no such def.
        own = scope.names.all.get(name)
        if own and own.made and own.made.line.span.start == scope.above:
            self.report.add("RT216", call.name.span, name=name)
        elif scope.is_below(name):
            scope.find(call.name)
        elif found is None and f"{name.rpartition('.')[0]}.".lstrip(".") in scope.names.lacks:
            pass  # it may stand in the library that could not be read
        elif found is None or found.value or found.flow:
            self.report.add("RT215", call.name.span, name=name, mend=missing(name, scope.names))
        return None

    def _bound(self, call: s.CallSyntax, made: Definition, scope: NameScope) -> dict[str, Name] | None:
        """Return the parameters of a def, each with what this call gives it."""
        params = [param.name.name for param in made.line.params]
        given: dict[str, s.Value] = dict(zip(params, call.args, strict=False))
        wrong: list[tuple[str, s.Span]] = []
        if len(call.args) > len(params):
            takes = f"takes {len(params)} value{'' if len(params) == 1 else 's'}, and this is one more"
            wrong.append((takes, call.args[len(params)].span))
        for option in call.named:
            name = option.name.name
            if name not in params:
                wrong.append((f"has no parameter '{name}'", option.name.span))
            elif name in given:
                wrong.append((f"is given '{name}' twice", option.span))
            given[name] = option.value
        absent = [name for name in params if name not in given and name not in made.defaults]
        wrong += [(f"needs '{name}'", call.span) for name in absent[:1]]
        for what, span in wrong[:1]:  # the others may follow from the first
            self.report.add("RT214", span, name=call.name.name, what=what, mend=_shown(call.name.name, made))
            return None
        spans = {param.name.name: param.name.span for param in made.line.params}
        own = {name: self._argument(value, spans[name], scope) for name, value in given.items()}
        rest = {name: Name(spans[name], value=made.defaults[name], used=True) for name in params if name not in own}
        return None if None in own.values() else {name: made for name, made in {**own, **rest}.items() if made}

    def _argument(self, value: s.Value, span: s.Span, scope: NameScope) -> Name | None:
        """Return the value or the flow that a parameter is given."""
        if isinstance(value, s.Ref):
            found = scope.find(value)
            return found and Name(span, found.value, found.flow, found.made, used=True)
        if isinstance(value, s.CallSyntax):
            got, mend = "a call", "call it inside of the def, or name the flow that it makes"
            self.report.add("RT207", value.span, name="a parameter", wanted="a value", got=got, mend=mend)
            return None
        written = scope.written(value)
        return written and Name(span, written, used=True)

    def unbound(self, made: Definition, scope: NameScope) -> Closure:
        """Return the body of a def that nobody calls: its parameters may stand for anything."""
        own = {param.name.name: Name(param.name.span, used=True) for param in made.line.params}
        return Closure(made.line.body, NameScope(made.names, made.line.span.start, scope.choices, own))

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


def _shown(name: str, made: Definition) -> str:
    """Return a call of a def, each parameter with its default."""
    params: list[str] = []
    for param in made.line.params:
        match param.default:
            case None:
                params.append(param.name.name)
            case s.Text(value=text):
                params.append(f'{param.name.name}="{text}"')
            case default:
                params.append(f"{param.name.name}={label(default)}")
    return f"{name}({', '.join(params)})"


def _leaves(call: StageCall) -> bool:
    """Return whether the picture, or its model, is another after a stage, or nothing follows it."""
    return call.card.family in LEAVING or call.card.edits_latents or call.card.output is None


def _bare(stage: s.Stage) -> bool:
    return not (stage.methods or stage.operand or stage.options)
