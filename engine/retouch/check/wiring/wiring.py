"""Wiring one flow: each stage takes its ports by type from what flows into it, turn by turn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from retouch.check.reading.calls import Other, StageCall
from retouch.check.reading.edits import prompts
from retouch.check.reading.flows import First
from retouch.check.reading.given import Given
from retouch.check.wiring.context import Context, Lost
from retouch.check.wiring.options import cell, fields, origins, resolve
from retouch.check.wiring.outputs import Writer
from retouch.check.wiring.turn_settings import TurnSettings, nothing_said, of_turn
from retouch.check.wiring.turns import OPEN, Turn, split
from retouch.graph.nodes import FromEngine, FromNode, Input, Node
from retouch.graph.ports import FILES, PICTURE, PROMPTS, SEED, SHARED, SUPPLIED, WRITERS
from retouch.lang import syntax as s
from retouch.lang.diagnostics import Report
from retouch.plugins.signatures import Port, StageCard

if TYPE_CHECKING:
    from retouch.models.catalog import ModelInfo

MISSING = FromNode("missing")  # reported; the rest of the flow is still looked at
NOTHING: Mapping[str, Input | None] = {}
SPACED = frozenset({"Latents", "Trajectory"})  # numbers that mean something in one model's latents alone


@dataclass(frozen=True, slots=True)
class Slot:
    """The newest value of a type, and the stage and model that made it."""

    edge: FromNode
    span: s.Span
    model: ModelInfo


@dataclass(slots=True)
class Wiring:
    """A flow in the making: what it holds now, and what holds for its turn."""

    context: Context
    model: ModelInfo
    now: TurnSettings
    slots: dict[str, Slot] = field(default_factory=dict[str, Slot])
    many: dict[str, list[FromNode]] = field(default_factory=dict[str, list[FromNode]])
    turn: int = 1
    caption: str | None = None
    _ended: bool = False
    _began: dict[str, Slot] = field(default_factory=dict[str, Slot])  # the slots when the turn began
    _first: FromNode | None = None  # the picture that the flow opened
    _guides: list[StageCall] = field(default_factory=list[StageCall])
    _seen: Counter[str] = field(default_factory=Counter[str])

    # ------------------------------------------------------------ turns

    def run(self, flow: tuple[StageCall | First, ...]) -> Wiring:
        """Wire all stages of a flow."""
        opening = [part for part in flow if isinstance(part, StageCall)]
        self.caption = self.context.caption_of(opening)
        # A caption that the command line may still bring cannot be missing yet.
        report = Report() if self.context.caption_may_come(opening) else self.context.report
        for turn in split(flow):
            self._begin(turn, report)
            for part in turn.parts:
                self._part(part)
            early = self._early(turn.taker) if turn.taker else NOTHING
            self._guide()
            if turn.put_in:
                self._close(turn.put_in, turn.place)
            if turn.taker:
                self._stage(turn.taker, early)
        return self

    def _part(self, part: StageCall | First) -> None:
        if isinstance(part, First):
            self._choose(part)
        elif part.card.family == "model":
            self._work_with(part)
        elif part.card.output != "Guidance":
            self._stage(part)
            if part.card.family == "sample":
                self._end()

    def _work_with(self, call: StageCall) -> None:
        """What follows works with this model."""
        if model := self.context.models.named(call.given):
            self.model = self.context.used_models[model.name] = model
            self.now = replace(self.now, model=model)
            if "Image" in self.slots and "Latents" in self.slots and self.slots["Latents"].model.space != model.space:
                del self.slots["Latents"]  # the picture is there, and is encoded anew

    def _begin(self, turn: Turn, report: Report) -> None:
        if self._ended and any(call.card.output in OPEN or call.card.family == "sample" for call in turn.everything):
            self.turn += 1
            self._ended = False
            self._began = dict(self.slots)
        self.now = of_turn(turn, self.caption, self.now, self.context.report, report)
        self._guides = [call for call in turn.everything if call.card.output == "Guidance"]

    def _close(self, why: str, span: s.Span) -> None:
        """Put in the `sample` that ends this turn."""
        self._put_in("sample", why, span)
        self._end()

    def _end(self) -> None:
        """The turn's values are gone, its latents stay, and its target prompt is the next caption."""
        self._guide()
        self.slots = {type_: slot for type_, slot in self.slots.items() if type_ == "Latents"}
        self.many = {}
        if self.now.edit or self.caption is not None:
            self.caption = self.now.prompts.target
        self._ended = True

    # ------------------------------------------------------------ stages

    def _stage(self, call: StageCall, early: Mapping[str, Input | None] = NOTHING) -> FromNode:
        """Add the node of a stage, and put its value in its type's place."""
        taken = {p.name: early[p.name] if p.name in early else self._take(p, call) for p in call.card.ports}
        inputs = {name: given for name, given in taken.items() if given is not None}
        options = resolve(call, self.context, self.now, self.model, self.turn)
        values = {name: value.value for name, value in options.items()}
        origin = {name: value.origin for name, value in options.items()} | origins(call.card, self.now)
        if call.card.takes(*SHARED):
            inputs = {name: self._cell(given, call, values["path"]) for name, given in inputs.items()}
        node = Node("", call.card, inputs, values, origin, self.turn, call.put_in, call.span)
        edge = self.context.builder.add(node)
        if call.card.output is not None:
            self._put(call, edge)
        elif call.card.takes(*WRITERS) and values["path"]:
            self._writes(call, edge, options["path"])
        return edge

    def _cell(self, given: Input, call: StageCall, path: str) -> Input:
        """Where in a file of many results this one stands."""
        if not (isinstance(given, FromEngine) and given.type in SHARED):
            return given
        return replace(given, settings={"path": path, **cell(call, self.context)})

    def _writes(self, call: StageCall, edge: FromNode, path: Given) -> None:
        item = self.context.item
        work = f"{item.path if item else ''}/{edge.id}"
        told = fields(self.context, self.now, self.turn)
        shared = call.card.takes(*SHARED)
        self.context.writers.append(Writer(path.value, path.span, work, told, shared))

    def _put(self, call: StageCall, edge: FromNode) -> None:
        output = call.card.output or ""
        if call.card.family == "open":
            self._first = edge
        if output in self.context.world.registry.gathered:
            self.many.setdefault(output, []).append(edge)
            return
        if (old := self.slots.get(output)) and old.edge != edge:
            self.context.lost.append(Lost(old.edge, output, old.span, call.span))
        self.slots[output] = Slot(edge, call.span, self.model)
        if output in PICTURE and call.card.family not in ("encode", "decode"):
            (other,) = PICTURE - {output}
            self.slots.pop(other, None)

    # ------------------------------------------------------------ ports

    def _early(self, call: StageCall) -> dict[str, Input | None]:
        """All ports but the picture itself, which a put-in `sample` is about to change."""
        ports = (port for port in call.card.ports if port.name in call.flows or port.type not in PICTURE)
        return {port.name: self._take(port, call) for port in ports}

    def _take(self, port: Port, call: StageCall) -> Input | None:
        if port.name in call.flows:
            found = tuple(self._from_flow(other, port) for other in call.flows[port.name])
            return found if port.many else found[0]
        if port.many:
            return self._all(port)
        return self._supplied(port, call) if port.type in SUPPLIED else self._made(port, call)

    def _all(self, port: Port) -> tuple[FromNode, ...]:
        edges = tuple(self.many.get(port.type, ()))
        if port.type == "AttentionControl":
            self.context.check_controls(edges, self.model)
        return edges

    def _made(self, port: Port, call: StageCall) -> FromNode | None:
        """The newest value that a stage made; a second port of one type is never filled in silence."""
        type_, slot = port.type, self.slots.get(port.type)
        if slot and type_ in SPACED and slot.model.space != self.model.space:
            notes = ((f"made here, with '{slot.model.name}'", slot.span),)
            facts = {"type": type_.lower(), "made": slot.model.name, "wanted": self.model.name}
            self.context.report.add("RT303", call.span, stage=call.card.name, notes=notes, **facts)
            return MISSING
        if port.optional:
            return slot.edge if slot else None
        if next(other for other in call.card.ports if other.type == type_) != port:
            mend = f"write {port.name}=area, where area is a flow that holds a {type_}"
            return self._unconnected(port, call, f"a second {type_} by name", mend)
        on_demand = {
            "SourceImage": self._source,
            "Guidance": self._guidance,
            "Image": self.image,
            "Latents": self.latents,
        }
        if type_ in on_demand:
            return on_demand[type_](call.card.name, call.span)
        if slot:
            return slot.edge
        makers = self.context.world.registry.makers(type_)
        mend = f"add a '{makers[0]}' stage before it" if makers else "no installed plugin makes one"
        return self._unconnected(port, call, f"{_article(type_)} {type_}", mend)

    def _unconnected(self, port: Port, call: StageCall, needs: str, mend: str) -> FromNode:
        label = f"port '{port}' is not connected"
        self.context.report.add("RT301", call.span, label=label, stage=call.card.name, port=needs, mend=mend)
        return MISSING

    def _supplied(self, port: Port, call: StageCall) -> FromEngine | None:
        """What the engine gives: prompts, schedule, noise, the model, files."""
        context, type_ = self.context, port.type
        if type_ in PROMPTS:
            if type_ == "Edit" and not (self.now.edit or call.own_edit or call.card.family == "sample"):
                if not port.optional:
                    context.report.add("RT307", call.span, stage=call.card.name)
                return None
            own = prompts(self.caption, call.own_edit, context.report) if call.own_edit else None
            return self._with_model(self.now.prompt(type_, own))
        if type_ == "Schedule":
            return self._with_model(self.now.schedule)
        if type_ == "NoiseSource":
            self._seen[call.card.name] += 1
            key = f"{self.turn}/{call.card.name}/{self._seen[call.card.name]}"
            return FromEngine(type_, {"seed": self.now.of(SEED).value, "key": key})
        return FromEngine(type_) if type_ in FILES else self._with_model(FromEngine(type_))

    def _with_model(self, edge: FromEngine) -> FromEngine:
        return replace(edge, settings={**edge.settings, "model": self.model.name})

    def _guidance(self, taker: str, span: s.Span) -> FromNode:
        self._guide()
        if "Guidance" not in self.slots:
            self._put_in("guide", f"'{taker}' needs guidance, and this turn has no 'guide'", span)
        slot = self.slots.get("Guidance")
        return slot.edge if slot else MISSING

    def _guide(self) -> None:
        """Wire the turn's `guide` stages, wherever they stand: guidance holds for the whole turn."""
        guides, self._guides = self._guides, []
        given = self.now.given.get("guidance")
        takes = any(call.card.option("guidance") or call.card.takes("Guidance") for call in guides)
        if guides and given and not takes:
            name, mend = guides[-1].card.name, "this guidance has no such number"
            self.context.report.add("RT205", given.span, stage=name, name="guidance", mend=mend)
        for call in guides:
            self._stage(call)

    # ------------------------------------------------------------ the picture

    def image(self, taker: str, span: s.Span) -> FromNode:
        """The picture as it is now, decoded if there are only latents."""
        if "Image" in self.slots:
            return self.slots["Image"].edge
        if "Latents" not in self.slots:
            self._put_in("open", "the flow begins with the picture of the command line", span)
        else:
            self._put_in("decode", f"'{taker}' needs an image", span)
        return self.slots["Image"].edge if "Image" in self.slots else MISSING

    def latents(self, taker: str, span: s.Span) -> FromNode:
        """The picture as it is now in the model's space."""
        if "Latents" not in self.slots:
            self._put_in("encode", f"'{taker}' works on latents", span)
        return self.slots["Latents"].edge if "Latents" in self.slots else MISSING

    def _put_in(self, family: str, why: str, span: s.Span) -> None:
        if card := self.context.default(family):
            call = StageCall(card, span, put_in=why)
            self._stage(call)

    def _source(self, taker: str, span: s.Span) -> FromNode:
        """The picture that this turn began with."""
        if not self._began.keys() & PICTURE:
            return self._first or self.image(taker, span)
        return replace(self, slots=dict(self._began), many={}).image(taker, span)

    # ------------------------------------------------------------ alternatives

    def _choose(self, part: First) -> None:
        """Wire each way from here; what all of them make is made by the first that holds what it requires."""
        ways = [self._way(calls) for calls in part.alternatives]
        made = [way.made_since(self) for way in ways]
        if len({tuple(way) for way in made}) > 1:
            what = "; ".join(", ".join(way) or "nothing" for way in made)
            self.context.report.add("RT309", part.span, what=what)
            self.slots |= {type_: Slot(MISSING, part.span, self.model) for way in made for type_ in way}
            return
        for type_ in made[0]:
            edges = {f"way_{i}": (way[type_], *(e for t, e in way.items() if t != type_)) for i, way in enumerate(made)}
            card = StageCard("first", type_, module="", function="", file="", line=0, output=type_)
            edge = self.context.builder.add(Node("", card, edges, {}, {}, self.turn, None, part.span))
            if type_ in self.context.world.registry.gathered:
                self.many.setdefault(type_, []).append(edge)
            else:
                self.slots[type_] = Slot(edge, part.span, self.model)

    def copy(self) -> Wiring:
        """The same flow, to go on with apart from this one."""
        many = {type_: list(edges) for type_, edges in self.many.items()}
        return replace(self, slots=dict(self.slots), many=many)

    def _way(self, calls: tuple[StageCall, ...]) -> Wiring:
        way = self.copy()
        for call in calls:
            way._stage(call)
        return way

    def made_since(self, before: Wiring) -> dict[str, FromNode]:
        """What this has made that was not there before, by type; the picture itself is not news."""
        new = {type_: slot.edge for type_, slot in self.slots.items() if before.slots.get(type_) != slot}
        quiet = PICTURE | {"Guidance"}
        gathered = {type_: edges[-1] for type_, edges in self.many.items() if edges != before.many.get(type_, [])}
        return dict(sorted({**{t: e for t, e in new.items() if t not in quiet}, **gathered}.items()))

    # ------------------------------------------------------------ other flows

    def _from_flow(self, other: Other, port: Port) -> FromNode:
        wired = self.context.other(other, wire)
        return wired.copy().newest(other, port.type) if wired else MISSING

    def newest(self, ref: Other, type_: str) -> FromNode:
        """The newest value of a type that this flow holds."""
        if type_ in PICTURE:
            if type_ == "Image" and self.is_open:
                self._close(f"'{ref.name}' is taken as an image", ref.span)
            take = self.image if type_ == "Image" else self.latents
            return take(ref.name, ref.span)
        if type_ in self.slots:
            return self.slots[type_].edge
        if self.many.get(type_):
            return self.many[type_][-1]
        holds = ", ".join([*self.slots, *self.many]) or "nothing"
        self.context.report.add("RT304", ref.span, name=ref.name, type=type_, holds=holds)
        return MISSING

    @property
    def is_open(self) -> bool:
        return bool((self.slots.keys() | self.many.keys()) & OPEN)


def _article(noun: str) -> str:
    """The English article of a type's name."""
    return "an" if noun[0] in "AEIOU" else "a"


def wire(context: Context, flow: Iterable[StageCall | First]) -> Wiring:
    """Wire a flow of one picture into the context's nodes."""
    context.used_models[context.model.name] = context.model
    now = nothing_said(context.precedence, context.model)
    return Wiring(context, context.model, now).run(tuple(flow))
