"""Stages that a recipe leaves out: put in where the next stage needs what they make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from retouch.check.reading.calls import StageCall
from retouch.check.wiring.state import MISSING, FlowState, Held
from retouch.graph.nodes import FromNode
from retouch.graph.ports import PICTURE
from retouch.lang import syntax as s

Wire = Callable[[FlowState, StageCall], FromNode]


@dataclass(frozen=True, slots=True)
class Insertions:
    """Puts stages into a flow; `wire` adds the node of one."""

    state: FlowState
    wire: Wire

    def put_in(self, family: str, why: str, span: s.Span) -> None:
        """Put in the family's default method."""
        if card := self.state.context.default(family):
            self.wire(self.state, StageCall(card, span, put_in=why))

    def image(self, taker: str, span: s.Span) -> FromNode:
        """Return the picture as it is now, decoded if there are only latents."""
        slots = self.state.held.slots
        if "Image" not in slots and "Latents" not in slots:
            self.put_in("open", "the flow begins with the picture of the command line", span)
        elif "Image" not in slots:
            self.put_in("decode", f"'{taker}' needs an image", span)
        return self.state.held.newest("Image") or MISSING

    def latents(self, taker: str, span: s.Span) -> FromNode:
        """Return the picture as it is now in the model's space."""
        if "Latents" not in self.state.held.slots:
            what = "latents" if self.state.model.known.space else "pixels from -1 to 1"
            self.put_in("encode", f"'{taker}' works on {what}", span)
        return self.state.held.newest("Latents") or MISSING

    def frame(self, taker: str, span: s.Span) -> FromNode:
        """Return the picture as it is now, as it is at hand."""
        held = self.state.held
        return held.newest("Image") or held.newest("Latents") or self.image(taker, span)

    def source(self, taker: str, span: s.Span) -> FromNode:
        """Return the picture that this turn began with."""
        state = self.state
        if not state.began.keys() & PICTURE:
            return state.first or self.image(taker, span)
        # The flow has moved on: what is put in to get that picture back is no part of what it holds now.
        return Insertions(state.apart(Held(dict(state.began))), self.wire).image(taker, span)

    def view(self, span: s.Span) -> None:
        """Put in what the newest window shows: its picture, and its mask."""
        registry = self.state.context.world.registry
        for method in ("image", "mask"):
            if card := registry.find("view", method):
                self.wire(self.state, StageCall(card, span, put_in="what follows works on the window"))

    def part_of_edit(self, type_: str, span: s.Span) -> None:
        """Put in what takes one prompt out of an edit that a stage made."""
        method = type_.removesuffix("Prompt").lower()
        if card := self.state.context.world.registry.find("view", method):
            self.wire(self.state, StageCall(card, span, put_in="a stage of this turn made its prompts"))

    def guidance(self, taker: str, span: s.Span) -> FromNode:
        """Return the turn's guidance, the default one if it has no `guide`."""
        self.guides()
        if "Guidance" not in self.state.held.slots:
            self.put_in("guide", f"'{taker}' needs guidance, and this turn has no 'guide'", span)
        return self.state.held.newest("Guidance") or MISSING

    def guides(self) -> None:
        """Wire the turn's `guide` stages, wherever they stand: guidance holds for the whole turn."""
        state = self.state
        guides, state.guides = state.guides, []
        given = state.now.given.get("guidance")
        takes = any(call.card.option("guidance") or call.card.takes("Guidance") for call in guides)
        if guides and given and not takes:
            name, mend = guides[-1].card.name, "this guidance has no such number"
            state.context.report.add("RT205", given.span, stage=name, name="guidance", mend=mend)
        for call in guides:
            self.wire(state, call)
