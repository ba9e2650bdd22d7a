"""What all flows of one picture share while they are wired."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from retouch.check.reading.calls import Other, StageCall
from retouch.check.reading.captions import caption_beside, normal_caption
from retouch.check.reading.environment import Environment
from retouch.check.reading.files import Files
from retouch.check.reading.flows import Flow, FlowReader
from retouch.check.reading.models import Models
from retouch.check.reading.variants import PICTURES, Choices
from retouch.check.wiring.builder import NodeBuilder
from retouch.check.wiring.outputs import Writer
from retouch.check.wiring.precedence import Precedence
from retouch.core.declared.touches import Touch, clashes
from retouch.graph.nodes import FromNode, Picture
from retouch.graph.ports import FOLDER
from retouch.lang import syntax as s
from retouch.lang.diagnostics import Report
from retouch.plugins.signatures import StageCard

if TYPE_CHECKING:
    from retouch.check.reading.given import Given
    from retouch.models.catalog import ModelInfo


@dataclass(frozen=True, slots=True)
class Overwritten:
    """A value whose place was taken by another before its own flow read it."""

    edge: FromNode
    type: str
    span: s.Span
    by: s.Span


class TakenFlow(Protocol):
    """A flow that is wired, as others see it."""

    def newest(self, ref: Other, type_: str) -> FromNode:
        """Return its newest value of a type."""
        ...


@dataclass(frozen=True, slots=True)
class Inside:
    """What flows in brackets begin with: nodes for what their stage gives, and what holds where that stage stands.

    earlier: what was said of the picture before other windows of it were put back, if they stand in a window
    draws: noise that each stage has taken so far, of the flow round the brackets too.
    """

    image: FromNode
    source: FromNode
    mask: FromNode | None
    caption: str | None
    earlier: tuple[str, ...]
    certain: bool
    turn: int
    draws: Counter[str]
    span: s.Span


@dataclass(slots=True)
class Context:
    """One picture's surroundings, and the nodes made so far, of all its variants."""

    world: Environment
    model: ModelInfo
    models: Models
    precedence: Precedence
    choices: Choices
    flows: FlowReader
    report: Report
    item: Picture | None  # the picture that the graph is about
    outside: Picture | None  # the one that flows without a picture of their own take
    builder: NodeBuilder = field(default_factory=NodeBuilder)
    lost: list[Overwritten] = field(default_factory=list[Overwritten])
    given: Picture | None = None  # the same, once a flow takes it
    used_models: dict[str, ModelInfo] = field(default_factory=dict[str, "ModelInfo"])
    writers: list[Writer] = field(default_factory=list[Writer])
    variant: int = -1
    others: dict[tuple[s.Span, int], TakenFlow | None] = field(default_factory=dict)  # flows that others take from
    opened: dict[str, Given] = field(default_factory=dict[str, "Given"])  # where each picture is named, by its path
    unnamed: list[s.Span] = field(default_factory=list[s.Span])  # results whose file the recipe does not name
    inside: Inside | None = None  # of brackets: what flows there begin with

    def looked_at(self) -> AbstractContextManager[None]:
        """While this lasts, what is found is about this picture, as far as others do without it."""
        return self.report.looking_at(str(self.item.path) if self.item and self.item.known else None)

    @property
    def files(self) -> Files:
        return self.flows.files

    @property
    def many(self) -> bool:
        """Whether this picture is one of several."""
        return len(self.world.pictures) > 1 or any(PICTURES in axis.labels for axis in self.choices.axes.values())

    def number(self, span: s.Span) -> int:
        """Return which of the results without a file this is, from 1."""
        if span not in self.unnamed:
            self.unnamed.append(span)
        return self.unnamed.index(span) + 1

    def other(self, taken: Other, wire: Callable[[Context, Flow], TakenFlow | None]) -> TakenFlow | None:
        """Return a flow that another takes a value from, wired once in each variant."""
        place = (taken.flow.flow.span, id(taken.flow.scope.own))
        # Another variant may take other items of the lists in that flow.  Where it does not, its nodes are found again
        # by the builder, so nothing is done twice.
        if self.variant != self.choices.variant:
            self.variant, self.others = self.choices.variant, {}
        if place not in self.others:
            flow = self.flows.read(taken.flow)
            self.others[place] = wire(self, flow) if flow is not None else None
        return self.others[place]

    def default(self, family: str) -> StageCard | None:
        """Return the method to put in of a family."""
        card = self.world.registry.default(family)
        if card is None:
            methods = ", ".join(self.world.registry.methods(family)) or "none is installed"
            self.report.add("RT203", s.NOWHERE, family=family, mend=methods)
        return card

    def picture(self, call: StageCall) -> Picture | None:
        """Return the picture that an `open` reads: its own, or the command line's."""
        given = call.given.get("path")
        if given is None:
            if self.outside is None:
                self.report.add("RT408", call.span)
                return None
            self.given = self.outside
            return self.outside
        folder = call.card.takes(FOLDER)
        path = (self.files.allowed if folder else self.files.to_read)(given, given.value)
        return Picture(path) if path else None

    def caption_of(self, calls: Iterable[StageCall]) -> str | None:
        """Return the caption of the flow's picture: the recipe's, the command line's, or that of a file beside it."""
        first = next((call for call in calls if call.card.family != "model"), None)
        if first is None or first.card.family != "open":
            return self.outside.caption if self.outside else None
        if (given := first.given.get("caption")) is not None:
            if self.world.caption is not None:
                self.precedence.beats(given, "caption", f"--caption {json.dumps(self.world.caption)}")
            return (normal_caption(given.value) or None) if isinstance(given.value, str) else None
        if (given := first.given.get("path")) is None:
            return self.outside.caption if self.outside else None
        if self.world.caption is not None:
            why = "the flow opens its own picture, whose words stand on its 'open' as caption=…"
            self.report.add("RT227", given.span, name="--caption", why=why)
        return caption_beside(self.world.folder / given.value, self.report, given.span)

    def caption_may_come(self, calls: Iterable[StageCall]) -> bool:
        """Return whether the command line may still give a picture, and a caption with it."""
        first = next((call for call in calls if call.card.family != "model"), None)
        named = first is not None and first.card.family == "open" and "path" in first.given
        return not named and self.outside is not None and not self.outside.known

    def check_controls(self, edges: Iterable[FromNode], model: ModelInfo) -> None:
        """Report two controls that write the same thing at the same place and time."""
        nodes = [self.builder.nodes[edge.id] for edge in edges if edge.id in self.builder.nodes]
        bound: list[tuple[str, list[Touch]]] = []
        for node in nodes:
            options = {option.parameter: node.options.get(option.name) for option in node.card.options}
            bound.append((node.card.name, [touch.bound(options) for touch in node.card.touches]))
        spans = {node.card.name: node.span for node in nodes}
        for clash in clashes(bound, model.sites):
            notes = (("the other is here", spans[clash.first]),)
            self.report.add("RT310", spans[clash.then], label=str(clash), notes=notes, a=clash.first, b=clash.then)
