"""A flow in brackets: wired by itself, from the picture that its stage will give it to the picture that it makes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from retouch.check.reading.calls import StageCall
from retouch.check.reading.flows import Flow, calls_of
from retouch.check.wiring.context import Context, Inside
from retouch.check.wiring.finished import finished
from retouch.check.wiring.state import MISSING, FlowState, Slot
from retouch.check.wiring.turn_settings import nothing_said
from retouch.graph.keys import turn_key
from retouch.graph.nodes import FromEngine, FromNode, Graph, given
from retouch.graph.ports import TURN, WRITERS, of_folders, works_on_folders
from retouch.lang import syntax as s
from retouch.plugins import cost
from retouch.plugins.signatures import StageCard


@dataclass(frozen=True, slots=True)
class WiredTurn:
    """A flow in brackets as a value, and what holds behind it."""

    edge: FromEngine
    caption: str | None
    turn: int


# Wires a flow from where a state stands, and returns its picture, and the newest mask that it held.
Run = Callable[[FlowState, Flow], tuple[FromNode, FromNode | None]]


def wire_turn(state: FlowState, call: StageCall, port: str, *, masked: bool, run: Run) -> WiredTurn | None:
    """Wire the flow that a stage is given; None, and diagnostics, if it is none that pictures can go through.

    masked: whether the stage has a mask, so that it gives the flow that mask's part.
    """
    closure = call.turns.get(port)
    if closure is None:
        mend = f"write {call.card.name} (invert ddim | …)"
        state.context.report.add("RT241", call.span, stage=call.card.name, mend=mend)
        return None
    flow = state.context.flows.read(closure)
    if flow is None:
        return None
    before, report = state.context.report.wrong, state.context.report
    context = _inside(state, call.card.name, call.span, masked=masked)
    inner = begun(context)
    if refused(flow, context, call.card):
        return None
    image, mask = run(inner, flow)
    span = closure.flow.span
    # A stage that needs its flow's mask may want nothing else of it.
    given_mask = context.inside and context.inside.mask
    wants_mask = any(f"{port}_mask" in cost.names(need.holds) for need in call.card.needs)
    looks_alone = mask is not None and mask != given_mask and wants_mask
    if inner.outside:
        report.add("RT244", span, stage=call.card.name)
    elif context.inside and image == context.inside.image and not looks_alone:
        report.add("RT243", span, stage=call.card.name)
    if report.wrong > before or MISSING in (image, mask):
        return None
    reached = {node.id for node in context.builder.needed([image.id])}
    results = (image.id, *([mask.id] if mask and (mask.id in reached or looks_alone) else []))
    graph = finished(context, results)
    if report.wrong > before:
        return None
    many = call.given.get(str(call.card.facts.get("draws")))
    if "draws" in call.card.facts and (many is None or many.value != 1) and not _draws_noise(graph):
        report.add("RT561", span, stage=call.card.name)
    if state.now.edit and _walks_unedited(graph, state.caption):
        report.add("RT566", span, stage=call.card.name)
    edge = FromEngine(TURN, {"model": state.model.name, "turn": turn_key(graph)}, turn=graph)
    return WiredTurn(edge, inner.caption, inner.turn)


def _draws_noise(graph: Graph) -> bool:
    """Return whether a flow comes out another way under noise of another seed."""
    supplied = [given for node in graph.nodes for given in node.inputs.values() if isinstance(given, FromEngine)]
    return any(each.type == "NoiseSource" or (each.turn and _draws_noise(each.turn)) for each in supplied)


def _walks_unedited(graph: Graph, caption: str | None) -> bool:
    """Return whether a flow walks, and to nothing but the words that its picture has already."""
    supplied = [edge for node in graph.everything() for _, edge in node.edges() if isinstance(edge, FromEngine)]
    edits = [each.settings for each in supplied if each.type == "Edit"]
    targets = [each.settings["text"] for each in supplied if each.type == "TargetPrompt"]
    targets += [edit["target"] for edit in edits]
    weighed = any(edit["weights"] for edit in edits)
    return bool(targets) and not weighed and all((text or "") == (caption or "") for text in targets)


def begun(context: Context) -> FlowState:
    """Return a flow that nothing of is wired yet: in brackets it holds what its stage gives it."""
    state = FlowState(context, context.model, nothing_said(context.precedence, context.model))
    if (inside := context.inside) is None:
        return state
    held = {"Image": inside.image} | ({"Mask": inside.mask} if inside.mask else {})
    state.held.slots |= {type_: Slot(edge, inside.span, context.model) for type_, edge in held.items()}
    state.first, state.draws, state.turn = inside.source, inside.draws, inside.turn
    state.caption, state.earlier, state.certain = inside.caption, inside.earlier, inside.certain
    return state


def refused(flow: Flow, context: Context, outer: StageCard | None = None) -> bool:
    """Report stages that have no place in brackets: those that bring another picture, and those that write files.

    outer: the stage whose brackets they are.
    """
    report, before = context.report, context.report.wrong
    cards = context.world.registry.cards
    scenes = of_folders(cards) if any(card.folder for card in cards) else frozenset[str]()
    for call in calls_of(flow):
        card = call.card
        if card.family != "open" and works_on_folders(card, scenes):
            what = "works on all that a folder holds, and a flow is given one picture"
            mend = f"write it before or behind these brackets: … | {card.name}{' (…)' * card.takes(TURN)} | …"
            if card is outer and len(list(calls_of(flow))) == 1:
                mend = f"one '{card.name}' is enough: write what stands in its brackets in the outer ones"
            report.add("RT242", call.span, stage=card.name, what=what, mend=mend)
        elif card.family == "open":
            mend = "open it before the stage that works on this flow"
            report.add("RT242", call.span, stage=card.name, what="opens a picture, and a flow is given one", mend=mend)
        elif card.output is None and card.takes(*WRITERS):
            mend = f"write '{card.name}' behind the stage that works on this flow"
            report.add("RT242", call.span, stage=card.name, what="writes a file", mend=mend)
        elif card.output == "Mask" and card.takes("Pictures"):
            mend = "write it before the stage that works on this flow, which gives it the part that is its own"
            report.add("RT242", call.span, stage=card.name, what="reads a mask of the whole picture", mend=mend)
    return report.wrong > before


def _inside(state: FlowState, stage: str, span: s.Span, *, masked: bool) -> Context:
    """The surroundings of a flow in brackets: nodes of its own, which nothing outside takes from."""
    builder = state.context.builder.for_turn(stage)
    inside = Inside(
        builder.add(given("image", "Image")),
        builder.add(given("source", "Image")),
        builder.add(given("mask", "Mask")) if masked else None,
        state.caption,
        state.earlier if state.outside or (state.context.inside and state.context.inside.earlier) else (),
        state.certain,
        state.turn,
        state.draws,
        span,
    )
    return replace(
        state.context, model=state.model, builder=builder, inside=inside, lost=[], writers=[], variant=-1, others={}
    )
