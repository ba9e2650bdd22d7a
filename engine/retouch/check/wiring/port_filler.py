"""Where each port of a stage gets its value: from the flow, from another flow, or from the engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from retouch.check.reading.calls import Other, StageCall
from retouch.check.reading.edits import check_change, prompts
from retouch.check.wiring.files.own_weights import own_weights
from retouch.check.wiring.files.tunings import tuned_by
from retouch.check.wiring.insertions import READ_ANEW, Insertions
from retouch.check.wiring.state import MISSING, FlowState, Slot
from retouch.graph.nodes import FromEngine, FromNode, Input
from retouch.graph.ports import (
    FILES,
    FRAME,
    MADE_OR_SUPPLIED,
    OF_A_MODEL,
    PICTURE,
    PROMPTS,
    SEED,
    SUPPLIED,
    TENSORS,
    TURN,
)
from retouch.near import near
from retouch.plugins.signatures import Port

NOTHING: Mapping[str, Input | None] = {}
_ON_DEMAND = ("SourceImage", "SourceLatents", "Guidance", "Image", "Latents", FRAME)
# Numbers that mean something in one model's latents alone.
SPACED = frozenset({"Latents", "SourceLatents", "Trajectory"})


@dataclass(frozen=True, slots=True)
class PortFiller:
    """Fills the ports of one flow's stages by their types; `from_flow` gives the newest value of another flow."""

    state: FlowState
    insert: Insertions
    from_flow: Callable[[Other, str], FromNode]

    def early(self, call: StageCall) -> dict[str, Input | None]:
        """Fill all ports but the picture itself, which a put-in `sample` is about to change."""
        ports = (p for p in call.card.ports if p.type != TURN and (p.name in call.flows or p.type not in PICTURE))
        return {port.name: self.take(port, call) for port in ports}

    def take(self, port: Port, call: StageCall) -> Input | None:
        """Return what goes to a port; None for an optional one that nothing goes to."""
        if port.name in call.flows:
            found = tuple(self.from_flow(other, port.type) for other in call.flows[port.name])
            return found if port.many else found[0]
        if port.many:
            if port.type not in self.state.held.many and not port.optional:
                self.insert.of_type(port.type, call.card.name, call.span)
            edges = tuple(self.state.held.many.get(port.type, ()))
            if not edges and not port.optional:
                return (self._missing(port, call),)
            if port.type == "AttentionControl":
                self.state.context.check_controls(edges, self.state.model)
            return edges
        if port.type not in SUPPLIED:
            return self._made(port, call)
        return self._tuned(port, call) or self._supplied(port, call)

    def _tuned(self, port: Port, call: StageCall) -> FromNode | None:
        """Return what a stage made in place of what the engine supplies: a schedule, a tuned model, prompts."""
        state, type_ = self.state, port.type
        if type_ not in MADE_OR_SUPPLIED or (type_ in PROMPTS and call.card.words == "own"):
            return None  # other eyes than the model's read what the recipe says, and not what a tuning has learnt
        if type_ in PROMPTS and "TextEncoder" in state.held.slots and call.card.name != READ_ANEW:
            if call.own_edit:
                return self.insert.own_prompts(type_, call)
            if "Edit" not in state.held.slots:
                self.insert.prompts_anew(call.span)
        if type_ in PROMPTS and call.own_edit:
            return None
        if type_ == "Schedule" and call.card.output == "Schedule":
            return None  # of one kind the newest holds, so each is made from the model's own
        if type_ in PROMPTS and "Denoiser" in state.held.slots:
            # What a tuning has learnt is said in prompts, unless a stage of this turn does so already.
            tunings = list(tuned_by(self.state.context.builder.nodes, state.held.slots["Denoiser"].edge))
            speaking = {node.card.prompts for node in tunings}
            learner = next((node.card for node in tunings if node.card.prompts), None)
            if learner and "Edit" not in self.state.held.slots and call.card.name not in speaking | {learner.name}:
                self.insert.prompts(learner, call.span)
        if type_ in PROMPTS - {"Edit"} and type_ not in state.held.slots and "Edit" in state.held.slots:
            self.insert.part_of_edit(type_, call.span)
        slot = state.held.slots.get(type_)
        if slot and type_ in OF_A_MODEL and slot.model.name != state.model.name:
            return self._of_another_model(slot, port, call)
        return slot.edge if slot else None

    def _of_another_model(self, slot: Slot, port: Port, call: StageCall) -> FromNode:
        notes = ((f"made here, with '{slot.model.name}'", slot.span),)
        facts = {"type": port.type.lower(), "made": slot.model.name, "wanted": self.state.model.name}
        self.state.context.report.add("RT303", call.span, stage=call.card.name, notes=notes, **facts)
        return MISSING

    def _made(self, port: Port, call: StageCall) -> FromNode | None:
        """Return the newest value that a stage made; a second port of one type is never filled in silence."""
        state, type_ = self.state, port.type
        slot = state.held.slots.get(type_)
        if slot and type_ in SPACED and slot.model.space != state.model.space:
            return self._of_another_model(slot, port, call)
        if port.optional:
            return slot.edge if slot else None
        # The first port of a type takes what there is; the second would take the same, which nobody means.
        if next(other for other in call.card.ports if other.type == type_) != port:
            mend = f"write {port.name}=area, where area is a flow that holds a {type_}"
            return self._unconnected(port, call, f"a second {type_} by name", mend)
        on_demand = {
            "SourceImage": self.insert.source,
            "SourceLatents": self.insert.source_latents,
            "Guidance": self.insert.guidance,
            "Image": self.insert.image,
            "Latents": self.insert.latents,
            FRAME: self.insert.frame,
        }
        if type_ in on_demand:
            return on_demand[type_](call.card.name, call.span)
        if slot:
            return slot.edge
        return self._missing(port, call)

    def _missing(self, port: Port, call: StageCall) -> FromNode:
        """Report a port for which nothing is held, or nothing any more."""
        type_ = port.type
        # Views are put in, and need a window first.
        registry = self.state.context.world.registry
        makers = [family for family in registry.makers(type_) if family != "view"]
        stage = f"add {_a(makers[0], quoted=True)} stage" if makers else "no installed plugin makes one"
        known = {*SUPPLIED, *_ON_DEMAND, *(card.output for card in registry.cards if card.output)}
        if not makers and (meant := near(type_, known)):
            stage = f"{meant.removesuffix('?')}, in the signature of '{call.card.name}'?"
        if type_ not in self.state.gone:
            inside = " in these brackets, which hold a picture and perhaps a mask" if self.state.context.inside else ""
            return self._unconnected(port, call, _a(type_), f"{stage} before it{inside}" if makers else stage)
        otherwise = f", or {stage} behind that" if makers else ""
        # A second `sample` is mostly one too many: whatever ended the turn has walked.
        self._ended(type_, call, _a(type_), ", or leave it out" if call.card.family == "sample" else otherwise)
        return MISSING

    def _ended(self, type_: str, call: StageCall, needs: str, otherwise: str) -> None:
        """Report a stage that comes too late for what its turn held."""
        gone = self.state.gone[type_]
        notes = (("the turn had it from here", gone.span), (f"'{gone.by}' ended the turn here", gone.ended))
        facts = {"port": needs, "by": gone.by, "otherwise": otherwise}
        self.state.context.report.add("RT319", call.span, notes=notes, stage=call.card.name, **facts)

    def _unconnected(self, port: Port, call: StageCall, needs: str, mend: str) -> FromNode:
        label = f"port '{port}' is not connected"
        self.state.context.report.add("RT301", call.span, label=label, stage=call.card.name, port=needs, mend=mend)
        return MISSING

    def _supplied(self, port: Port, call: StageCall) -> FromEngine | None:
        """Return what the engine gives: prompts, schedule, noise, the model, files."""
        state, type_ = self.state, port.type
        if type_ in FILES or type_ == TENSORS:
            return FromEngine(type_)
        if type_ in ("TrainingLog", "Notices"):
            return FromEngine(type_, {"stage": call.card.name})
        if type_ == "Weights":
            files = own_weights(call.card, call.span, state.context.report)
            return FromEngine(type_, {"files": files, "model": state.model.name})
        if type_ == "NoiseSource":
            # The key has no picture and no variant in it, so that the same stage draws the same noise in all of them.
            state.draws[call.card.name] += 1
            key = f"{state.turn}/{call.card.name}/{state.draws[call.card.name]}"
            return FromEngine(type_, {"seed": state.now.of(SEED).value, "key": key})
        put_in = call.card.family in ("sample", "view")
        if type_ == "Edit" and not (state.now.edit or call.own_edit or put_in):
            wordless = call.card.needs_words and not state.model.known.reads_words  # which is told in its own words
            if not port.optional and not wordless:
                if type_ in state.gone:
                    self._ended(type_, call, "an edit", ', or write what changes now: "cat"->"dog"')
                else:
                    state.context.report.add("RT307", call.span, stage=call.card.name)
            return None
        if type_ in PROMPTS:
            own = (
                prompts(state.caption_of(call.own_edit), call.own_edit, state.context.report) if call.own_edit else None
            )
            if own:
                check_change(call.own_edit, own, state.context.report)
            edge = state.now.prompt(type_, own)
        else:
            edge = state.now.schedule if type_ == "Schedule" else FromEngine(type_)
            if type_ == "Schedule" and state.model.sized:
                edge = replace(edge, sized_by=self.insert.latents(call.card.name, call.span))
        return replace(edge, settings={**edge.settings, "model": state.model.name})


def _a(name: str, *, quoted: bool = False) -> str:
    """A name with its article."""
    article = "an" if name[0].lower() in "aeiou" else "a"
    return f"{article} '{name}'" if quoted else f"{article} {name}"
