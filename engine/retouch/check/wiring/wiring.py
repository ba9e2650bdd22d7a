"""Wiring one flow: each stage takes its ports by type from what flows into it, turn by turn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from retouch.check.reading.calls import Other, StageCall
from retouch.check.reading.flows import Alternatives, Flow, calls_of
from retouch.check.wiring.alternatives import choose
from retouch.check.wiring.context import Context, Overwritten
from retouch.check.wiring.files.adapters import check_adapters, check_learnt_words, check_tuned
from retouch.check.wiring.files.embeddings import check_embedding
from retouch.check.wiring.files.folders import with_folder
from retouch.check.wiring.files.pretrained import PORT as PRETRAINED
from retouch.check.wiring.files.pretrained import with_pretrained
from retouch.check.wiring.files.tensor_files import with_tensors
from retouch.check.wiring.files.training import with_training
from retouch.check.wiring.fitting import check_model
from retouch.check.wiring.insertions import Insertions
from retouch.check.wiring.inside import begun, refused, wire_turn
from retouch.check.wiring.named_words import check_named_words
from retouch.check.wiring.options import cell, fields, is_whole, origins, resolve
from retouch.check.wiring.outputs import Writer
from retouch.check.wiring.port_filler import NOTHING, PortFiller
from retouch.check.wiring.sites import check_sites
from retouch.check.wiring.state import MISSING, FlowState, Gone, Outside, Slot
from retouch.check.wiring.turn_settings import of_turn
from retouch.check.wiring.turns import OPEN, TurnStages, split
from retouch.check.wiring.walked import check_walk
from retouch.check.wiring.words import check_caption, check_words
from retouch.graph.nodes import FromEngine, FromNode, Input, Node
from retouch.graph.ports import FOLDER, PICTURE, PROMPTS, SHARED, TENSORS, TRAINING, TURN, WRITERS
from retouch.lang import syntax as s
from retouch.lang.diagnostics import Report


@dataclass(frozen=True, slots=True)
class WiredFlow:
    """A flow whose stages are nodes; others may take its values."""

    state: FlowState

    def newest(self, ref: Other, type_: str) -> FromNode:
        """Return the newest value of a type, for a port that takes it by the flow's name."""
        # Apart, since what is put in for one taker is not there for the next.
        wiring = _Wiring(self.state.apart())
        held = wiring.state.held
        if type_ in PICTURE:
            if type_ == "Image" and held.is_open:
                wiring.close(f"'{ref.name}' is taken as an image", ref.span)
            take = wiring.insert.image if type_ == "Image" else wiring.insert.latents
            return take(ref.name, ref.span)
        if (edge := held.newest(type_)) is not None:
            return edge
        holds = ", ".join([*held.slots, *held.many]) or "nothing"
        self.state.context.report.add("RT304", ref.span, name=ref.name, type=type_, holds=holds)
        return MISSING


def wire(context: Context, flow: Iterable[StageCall | Alternatives]) -> WiredFlow | None:
    """Wire a flow of one picture into the context's nodes; None, and diagnostics, if it has no place there."""
    if context.inside is not None and refused(tuple(flow), context):
        return None
    context.used_models[context.model.name] = context.model
    wiring = _Wiring(begun(context))
    wiring.run(tuple(flow))
    return WiredFlow(wiring.state)


class _Wiring:
    """Wires the stages of a flow in their order; ports, insertions and alternatives have files of their own."""

    def __init__(self, state: FlowState) -> None:
        self.state = state
        self.insert = Insertions(state, _wire)
        self._ports = PortFiller(state, self.insert, self._from_flow)
        self._models = [state.model]  # of the flow, in their order

    # ------------------------------------------------------------ turns

    def run(self, flow: tuple[StageCall | Alternatives, ...]) -> None:
        """Wire all stages of a flow."""
        state = self.state
        if state.context.inside is None:
            opening = [part for part in flow if isinstance(part, StageCall)]
            state.caption = state.context.caption_of(opening)
            # A caption that the command line may still bring cannot be missing yet.
            state.certain = not state.context.caption_may_come(opening)
        report = state.context.report if state.certain else Report()
        for turn in split(flow):
            self._begin(turn, report)
            if not check_walk(turn, state.context.report):
                break
            for part in turn.parts:
                if isinstance(part, Alternatives):
                    choose(state, part, _wire)
                elif part.card.family == "model":
                    self._work_with(part)
                elif part.card.output != "Guidance":  # those are wired when guidance is first needed
                    self.stage(part)
                    if part.card.family == "sample":
                        self._end(turn)
            early = self._ports.early(turn.taker) if turn.taker else NOTHING
            self.insert.guides()
            if turn.put_in:
                self.close(turn.put_in, turn.place, turn)
            if turn.made:
                self._end(turn)
            if turn.taker:
                self.stage(turn.taker, early)
        if state.context.inside is None:
            check_caption(calls_of(flow), self._models, state.context)

    def _work_with(self, call: StageCall) -> None:
        """Let what follows work with the model that this stage names."""
        state = self.state
        if model := state.context.models.named(call.given):
            state.model = state.context.used_models[model.name] = model
            self._models.append(model)
            state.now = replace(state.now, model=model)
            slots = state.held.slots
            if "Image" in slots and "Latents" in slots and slots["Latents"].model.space != model.space:
                del slots["Latents"]  # the picture is there, and is encoded anew

    def _begin(self, turn: TurnStages, report: Report) -> None:
        state = self.state
        if state.ended and any(map(_edits, turn.everything)):
            state.turn += 1
            state.ended = False
            state.began = dict(state.held.slots)
        crops = any(call.card.family == "crop" for call in turn.everything)
        caption_of = partial(state.caption_of, windowed=crops)
        state.now = of_turn(turn, caption_of, state.now, state.context.report, report)
        state.guides = [call for call in turn.everything if call.card.output == "Guidance"]

    def close(self, why: str, span: s.Span, turn: TurnStages | None = None) -> None:
        """Put in the `sample` that ends this turn."""
        self.insert.put_in("sample", why, span)
        self._end(turn or TurnStages((), place=span))

    def _end(self, turn: TurnStages) -> None:
        """Drop the turn's values but its picture and its window; its target prompt is the next caption."""
        self.insert.guides()
        state = self.state
        lost = {type_: Gone(slot.span, turn.by, turn.place) for type_, slot in state.held.slots.items()}
        if state.now.edit:
            lost["Edit"] = Gone(state.now.edit[0].span, turn.by, turn.place)
        # A decoding is the turn's last work: what then mends the picture has the turn's mask still.
        kept = ["Mask"] if turn.taker and turn.taker.card.family == "decode" else []
        state.held = state.held.only("Image", "Latents", "Window", "Codec", "TextEncoder", *kept)
        state.gone = {**state.gone, **lost}
        if state.now.edit or state.caption is not None:
            state.caption = state.now.prompts.target
        state.ended = True

    # ------------------------------------------------------------ stages

    def stage(self, call: StageCall, early: Mapping[str, Input | None] = NOTHING) -> FromNode:
        """Add the node of a stage, and put its value in its type's place."""
        state = self.state
        check_model(call, state.model, state.context.report)
        ports = [port for port in call.card.ports if port.type != TURN]
        taken = {p.name: early[p.name] if p.name in early else self._ports.take(p, call) for p in ports}
        inputs = {name: given for name, given in taken.items() if given is not None}
        turn = state.turn
        inputs |= self._turns(call, inputs)
        options = resolve(call, state.context, state.now, state.model, state.turn)
        values = {name: value.value for name, value in options.items()}
        origin = {name: value.origin for name, value in options.items()} | origins(call.card, state.now)
        misplaced = check_words(call, options, state.now, state.model, state.context.report)
        if not misplaced:
            check_sites(call, values, state.model, state.context.report)
        check_adapters(call, values, state.model, state.context.report)
        check_learnt_words(call, inputs, state.context.builder.nodes, state.context.report)
        check_embedding(call, values, inputs, state.model, state.context.report)
        check_tuned(call, values, inputs, state.context.builder.nodes, state.model, state.context.report)
        if state.certain and not misplaced:
            check_named_words(call, options, inputs, state.context.models.reader(state.model), state.context.report)
        if call.card.takes(PRETRAINED):
            inputs = with_pretrained(inputs, call, values, state.context.report)
        if call.card.takes(FOLDER):
            inputs = with_folder(inputs, call, options["path"], state.context.report)
        if call.card.takes(TENSORS):
            inputs = with_tensors(inputs, call, options["path"], state.context.report)
        if call.card.takes(TRAINING):
            inputs = with_training(inputs, call, options, state.context, self.insert)
        if call.card.takes(*SHARED):
            place = {"path": values["path"], **cell(call, state.context)}
            inputs = {name: _in_cell(given, place) for name, given in inputs.items()}
        edge = state.context.builder.add(Node("", call.card, inputs, values, origin, turn, call.put_in, call.span))
        if call.card.family == "crop":
            self._crop(call, edge)
        elif call.card.family == "paste":
            self._paste(call, edge)
        elif call.card.output is not None:
            self._put(call.card.output, call, edge)
        elif call.card.takes(*WRITERS) and values["path"]:
            item, path = state.context.item, options["path"]
            work = f"{item.path if item else ''}/{edge.id}"
            names = fields(state.context, state.now, state.turn)
            text = call.given["path"].value if "path" in call.given else None
            shared, by_output = call.card.takes(*SHARED), is_whole(call, state.context)
            state.context.writers.append(Writer(path.value, path.span, work, names, shared, item, text, by_output))
        return edge

    def _turns(self, call: StageCall, inputs: Mapping[str, Input]) -> dict[str, Input]:
        """Wire the flows that a stage is given, and go on behind what they come to."""
        masked = any(port.type == "Mask" and port.name in inputs for port in call.card.ports)
        found: dict[str, Input] = {}
        for port in call.card.ports:
            if port.type == TURN and not (port.optional and port.name not in call.turns):
                wired = wire_turn(self.state, call, port.name, masked=masked, run=_picture_of)
                found[port.name] = wired.edge if wired else MISSING
                if wired and call.makes_turns:
                    self.state.caption, self.state.turn, self.state.ended = wired.caption, wired.turn, True
        return found

    def _crop(self, call: StageCall, window: FromNode) -> None:
        """Go on inside of a window: its picture is what the turn began with."""
        state = self.state
        held = state.held.only("Mask", "Window")
        state.outside = (*state.outside, Outside(held, state.began, state.first, state.now.prompts.source))
        # Schedules of some models are made for the size of the picture, which is now the window's.
        for type_ in (*PICTURE, "Mask", *(["Schedule"] if state.model.sized else [])):
            state.held.slots.pop(type_, None)
        state.held.slots["Window"] = Slot(window, call.span, state.model)
        self.insert.view(call.span)
        state.began, state.first = {}, state.held.newest("Image")

    def _paste(self, call: StageCall, image: FromNode) -> None:
        """Go on where the flow was cropped, with the picture that the window was put back into."""
        state = self.state
        if state.outside:
            *others, outside = state.outside
            state.outside, state.held = tuple(others), outside.held.copy()
            state.began, state.first = outside.began, outside.first
            state.earlier = (outside.caption, *state.earlier)
        self._put("Image", call, image)

    def _put(self, output: str, call: StageCall, edge: FromNode) -> None:
        state = self.state
        if call.card.family == "open":
            state.first = edge
        if output == "Mask" and not state.outside:
            state.mask = edge
        if output in state.context.world.registry.gathered:
            state.held.many.setdefault(output, []).append(edge)
            return
        if output in (
            "Edit",
            "TextEncoder",
        ):  # prompts out of the one before, or read without its words
            for type_ in PROMPTS - {"Edit"} if output == "Edit" else PROMPTS:
                state.held.slots.pop(type_, None)
        if (old := state.held.slots.get(output)) and old.edge != edge:
            state.context.lost.append(Overwritten(old.edge, output, old.span, call.span))
        state.held.slots[output] = Slot(edge, call.span, state.model)
        if output == "Image" and _begins_anew(call):
            state.began = {"Image": state.held.slots["Image"]}
        if output in PICTURE and call.card.family not in ("encode", "decode"):
            (other,) = PICTURE - {output}  # the old picture's other form is no longer this picture
            state.held.slots.pop(other, None)

    def _from_flow(self, other: Other, type_: str) -> FromNode:
        wired = self.state.context.other(other, wire)
        return wired.newest(other, type_) if wired else MISSING


def _picture_of(state: FlowState, flow: Flow) -> tuple[FromNode, FromNode | None]:
    """Wire a flow in brackets; the picture that it comes to, and the newest mask of that picture."""
    wiring = _Wiring(state)
    wiring.run(flow)
    last = flow[-1]
    name, span = (last.card.name, last.span) if isinstance(last, StageCall) else ("first", last.span)
    if state.held.is_open:
        wiring.close("a flow in brackets gives its picture back", span)
    return wiring.insert.image(name, span), state.mask


def _edits(call: StageCall) -> bool:
    """Return whether a stage is part of an edit, so that a turn begins with it."""
    return call.card.output in OPEN or call.card.family == "sample" or call.card.edits_latents


def _begins_anew(call: StageCall) -> bool:
    """Return whether what the turn goes on from is the stage's picture: of another size, no old pixel can be put back.

    So is the photograph that comes back round an edit, at the size that its window has now.
    """
    card = call.card
    return "height" in card.facts or (card.takes("Window") and card.family not in ("paste", "view"))


def _wire(state: FlowState, call: StageCall) -> FromNode:
    return _Wiring(state).stage(call)


def _in_cell(given: Input, place: Mapping[str, object]) -> Input:
    """Say where in a file of many results this one stands."""
    if not (isinstance(given, FromEngine) and given.type in SHARED):
        return given
    return replace(given, settings=dict(place))
