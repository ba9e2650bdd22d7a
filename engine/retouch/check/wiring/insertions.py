"""Stages that a recipe leaves out: put in where the next stage needs what they make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from retouch.check.reading.calls import StageCall
from retouch.check.wiring.state import MISSING, FlowState, Held, Slot
from retouch.graph.nodes import FromNode
from retouch.graph.ports import PICTURE, PROMPTS, TURN, of_folders, works_on_folders
from retouch.lang import syntax as s
from retouch.plugins.signatures import StageCard

READ_ANEW = "view prompts"  # what reads prompts with a text encoder that a stage made
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
            cards = self.state.context.world.registry.cards
            scenes = of_folders(cards) if any(card.folder for card in cards) else frozenset[str]()
            if held := slots.keys() & scenes:
                # One picture is wanted, and a folder of them was opened.
                senders = [c for c in cards if c.default and c.takes(TURN) and works_on_folders(c, held)]
                mend = f"send each through a flow: {senders[0].family} (…)" if senders else "open one of them by itself"
                port = "one picture (the flow opened a folder of them)"
                label = "port 'image' is not connected"
                self.state.context.report.add("RT301", span, label=label, stage=taker, port=port, mend=mend)
                return MISSING
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

    def source_latents(self, taker: str, span: s.Span) -> FromNode:
        """Return the picture that this turn began with in the model's space; what encodes it is put in once."""
        state = self.state
        began = state.began if state.began.keys() & PICTURE else {"Image": self._first(taker, span)}
        return Insertions(state.apart(Held(dict(began))), self.wire).latents(taker, span)

    def _first(self, taker: str, span: s.Span) -> Slot:
        """Return the picture that the flow opened, as a value to go on from."""
        return Slot(self.state.first or self.image(taker, span), span, self.state.model)

    def own_picture(self, taker: str, span: s.Span) -> FromNode:
        """Put in what a stage learns from where it names no pictures: the one that this turn began with."""
        card = self.state.context.world.registry.find("view", "own")
        assert card
        return self.wire(self.state, StageCall(card, span, put_in=f"'{taker}' names no other pictures to learn from"))

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

    def prompts_anew(self, span: s.Span) -> None:
        """Put in what reads the turn's prompts with the text encoder that a stage made."""
        card = self.state.context.world.registry.find(*READ_ANEW.split())
        assert card
        self.wire(self.state, StageCall(card, span, put_in="a stage has taught the text encoder words"))

    def own_prompts(self, type_: str, call: StageCall) -> FromNode:
        """Put in the same of prompts that one stage has for itself; nothing after it takes them."""
        held = Held({name: slot for name, slot in self.state.held.slots.items() if name not in PROMPTS})
        apart, card = self.state.apart(held), self.state.context.world.registry.find(*READ_ANEW.split())
        assert card
        why = "a stage has taught the text encoder words"
        self.wire(apart, StageCall(card, call.span, own_edit=call.own_edit, put_in=why))
        if type_ != "Edit":
            Insertions(apart, self.wire).part_of_edit(type_, call.span)
        return apart.held.newest(type_) or MISSING

    def prompts(self, learner: StageCard, span: s.Span) -> None:
        """Put in what says in prompts what a stage has learnt."""
        family, _, method = learner.prompts.partition(" ")
        if card := self.state.context.world.registry.find(family, method):
            self.wire(self.state, StageCall(card, span, put_in=f"prompts name what '{learner.name}' has learnt"))

    def of_type(self, type_: str, taker: str, span: s.Span) -> None:
        """Put in the one stage that makes values of this type, where a stage takes all there are and there is none."""
        registry = self.state.context.world.registry
        makers = [card for card in registry.cards if card.output == type_]
        stated = [card for card in makers if card.default] or makers
        if len(stated) == 1:
            why = f"'{taker}' needs {'an' if stated[0].family[0] in 'aeiou' else 'a'} '{stated[0].family}'"
            self.wire(self.state, StageCall(stated[0], span, put_in=why))

    def guidance(self, taker: str, span: s.Span) -> FromNode:
        """Return the turn's guidance, the default one if it has no `guide`.

        What leads another guidance acts where the turn samples; inversions ask the one that is led.
        """
        self.guides(led=taker.partition(" ")[0] == "sample")
        if "Guidance" not in self.state.held.slots:
            self.put_in("guide", f"'{taker}' needs guidance, and this turn has no 'guide'", span)
        return self.state.held.newest("Guidance") or MISSING

    def guides(self, *, led: bool = True) -> None:
        """Wire the turn's `guide` stages, wherever they stand: guidance holds for the whole turn.

        led: those too that lead the one before, by what the turn has made meanwhile, such as its mask.
        """
        state = self.state
        leads = [call for call in state.guides if call.card.takes("Guidance")]
        plain = [call for call in state.guides if call not in leads]
        given = state.now.given.get("guidance")
        if plain and given and not any(call.card.option("guidance") for call in plain):
            name, mend = plain[-1].card.name, "this guidance has no such number"
            state.context.report.add("RT205", given.span, stage=name, name="guidance", mend=mend)
        state.guides = [] if led else leads
        for call in (*plain, *(leads if led else ())):
            self.wire(self.state, call)
