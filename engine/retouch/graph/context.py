"""What all flows of one picture share while they are wired."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from retouch.cards import StageCard
from retouch.graph.builder import Builder
from retouch.graph.calls import Call, Other
from retouch.graph.captions import caption_beside, normal_caption
from retouch.graph.choices import PICTURES, Choices
from retouch.graph.defaults import Defaults
from retouch.graph.files import Files
from retouch.graph.flows import Flow, FlowReader
from retouch.graph.model import Models
from retouch.graph.nodes import FromNode, Node, Picture
from retouch.graph.results import Writer
from retouch.graph.world import World
from retouch.lang import syntax as s
from retouch.lang.diagnostics import Report
from retouch.touches import clashes

if TYPE_CHECKING:
    from retouch.graph.wiring import Wiring
    from retouch.models.catalog import ModelInfo


@dataclass(frozen=True, slots=True)
class Lost:
    """A value whose place was taken by another before its own flow read it."""

    edge: FromNode
    type: str
    span: s.Span
    by: s.Span


@dataclass(slots=True)
class Context:
    """One picture's surroundings, and the nodes made so far, of all its variants."""

    world: World
    model: ModelInfo
    models: Models
    defaults: Defaults
    choices: Choices
    flows: FlowReader
    report: Report
    item: Picture | None  # the picture that the graph is about
    outside: Picture | None  # the one that flows without a picture of their own take
    builder: Builder = field(default_factory=Builder)
    lost: list[Lost] = field(default_factory=list[Lost])
    used_outside: bool = False  # whether any flow does
    used_models: dict[str, ModelInfo] = field(default_factory=dict[str, "ModelInfo"])
    writers: list[Writer] = field(default_factory=list[Writer])
    variant: int = -1
    others: dict[tuple[s.Span, int], Wiring | None] = field(default_factory=dict)  # flows that others take from
    unnamed: list[s.Span] = field(default_factory=list[s.Span])  # results whose file the recipe does not name

    @property
    def files(self) -> Files:
        return self.flows.files

    @property
    def many(self) -> bool:
        """Whether this picture is one of several."""
        return len(self.world.pictures) > 1 or any(PICTURES in axis.labels for axis in self.choices.axes.values())

    def number(self, span: s.Span) -> int:
        """Which of the results without a file this is, from 1."""
        if span not in self.unnamed:
            self.unnamed.append(span)
        return self.unnamed.index(span) + 1

    def other(self, taken: Other, wire: Callable[[Context, Flow], Wiring]) -> Wiring | None:
        """A flow that another takes a value from, wired once in each variant."""
        place = (taken.flow.flow.span, id(taken.flow.scope.own))
        if self.variant != self.choices.variant:
            self.variant, self.others = self.choices.variant, {}
        if place not in self.others:
            flow = self.flows.read(taken.flow)
            self.others[place] = wire(self, flow) if flow is not None else None
        return self.others[place]

    def default(self, family: str) -> StageCard | None:
        """The method to put in of a family."""
        card = self.world.registry.default(family)
        if card is None:
            methods = ", ".join(self.world.registry.methods(family)) or "none is installed"
            self.report.add("RT203", s.NOWHERE, family=family, mend=methods)
        return card

    def picture(self, call: Call) -> Picture | None:
        """The picture that an `open` reads: its own, or the command line's."""
        given = call.given.get("path")
        if given is None:
            return self._from_command_line(call.span)
        path = self.files.to_read(given, given.value)
        return Picture(path) if path else None

    def _from_command_line(self, span: s.Span) -> Picture | None:
        if self.outside is None:
            self.report.add("RT408", span)
        self.used_outside = True
        return self.outside

    def caption_of(self, calls: Iterable[Call]) -> str | None:
        """What the flow's picture shows: as the recipe says, as the command line says, or as a file beside it says."""
        first = next((call for call in calls if call.card.family != "model"), None)
        if first is None or first.card.family != "open":
            return self.outside.caption if self.outside else None
        if (given := first.given.get("caption")) is not None:
            return (normal_caption(given.value) or None) if isinstance(given.value, str) else None
        if (given := first.given.get("path")) is None:
            return self.outside.caption if self.outside else None
        return caption_beside(self.world.folder / given.value, self.report, given.span)

    def caption_may_come(self, calls: Iterable[Call]) -> bool:
        """Whether the command line may still give a picture, and a caption with it."""
        first = next((call for call in calls if call.card.family != "model"), None)
        named = first is not None and first.card.family == "open" and "path" in first.given
        return not named and self.outside is not None and not self.outside.known

    def check_controls(self, edges: Iterable[FromNode], model: ModelInfo) -> None:
        """Two controls must not write the same thing at the same place and time."""
        nodes = [self.builder.nodes[edge.id] for edge in edges if edge.id in self.builder.nodes]
        bound = [(node.card.name, [touch.bound(_parameters(node)) for touch in node.card.touches]) for node in nodes]
        spans = {node.card.name: node.span for node in nodes}
        for clash in clashes(bound, model.sites):
            notes = (("the other is here", spans[clash.first]),)
            self.report.add("RT310", spans[clash.then], label=str(clash), notes=notes, a=clash.first, b=clash.then)


def _parameters(node: Node) -> dict[str, object]:
    """Options by the names that the declarations use."""
    return {option.parameter: node.options.get(option.name) for option in node.card.options}
