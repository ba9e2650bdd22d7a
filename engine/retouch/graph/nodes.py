"""The graph of all work on one picture: immutable data, with places back in the recipe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retouch.lang.syntax import NOWHERE, Span
from retouch.plugins.signatures import StageCard

if TYPE_CHECKING:
    from retouch.models.catalog import ModelInfo

NodeId = str
Settings = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FromNode:
    """A value that another stage makes."""

    id: NodeId


@dataclass(frozen=True, slots=True)
class FromEngine:
    """A value that the engine supplies, such as a prompt or a schedule, and what it is made from.

    sized_by: the latents whose size it depends on, as the schedules of some models do.
    turn: of a flow as a value, its graph, which begins with what its stage will give it.
    """

    type: str
    settings: Settings = field(default_factory=dict[str, Any])
    sized_by: FromNode | None = None
    turn: Graph | None = None


Edge = FromNode | FromEngine
Input = Edge | tuple[FromNode, ...]


@dataclass(frozen=True, slots=True)
class Node:
    """One stage with everything it was given."""

    id: NodeId
    card: StageCard
    inputs: Mapping[str, Input]
    options: Mapping[str, Any]
    origin: Mapping[str, str] = field(compare=False)  # option -> where its value was given
    turn: int = field(compare=False)
    put_in: str | None = field(default=None, compare=False)  # why, if the recipe does not say it
    span: Span = field(default=NOWHERE, compare=False)

    def edges(self) -> Iterator[tuple[str, Edge]]:
        """Return every edge with its port, the many of a port one by one."""
        for port, given in self.inputs.items():
            for edge in given if isinstance(given, tuple) else (given,):
                yield port, edge

    def turns(self) -> Iterator[Graph]:
        """Return the flows that it is given as values."""
        for _, edge in self.edges():
            if isinstance(edge, FromEngine) and edge.turn is not None:
                yield edge.turn

    def everything(self) -> Iterator[Node]:
        """Return all stages of the flows in its brackets, and it itself."""
        for turn in self.turns():
            yield from turn.everything()
        yield self

    def ways(self) -> list[tuple[NodeId, ...]]:
        """Of a choice: what each way makes, that of this node first."""
        return [
            tuple(e.id for e in edges if isinstance(e, FromNode))
            for edges in self.inputs.values()
            if isinstance(edges, tuple)
        ]

    def feeds(self) -> Iterator[NodeId]:
        """Return the nodes whose values this one takes."""
        for _, edge in self.edges():
            maker = edge if isinstance(edge, FromNode) else edge.sized_by
            if maker is not None:
                yield maker.id


GIVEN = "given"  # family of the nodes that stand for what a stage gives to its flow


def given(method: str, output: str) -> Node:
    """Return the node that stands for a value which a stage gives to the flow in its brackets."""
    return Node("", StageCard(GIVEN, method, module="", function="", file="", line=0, output=output), {}, {}, {}, 1)


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture to work on. One that is not known yet stands for what the command line will name.

    called: what to call it in messages, where it was given as no file and `path` is a copy.
    """

    path: Path
    index: int = 0
    caption: str | None = None
    known: bool = True
    called: str = ""

    @property
    def name(self) -> str:
        """What paths of results call it by `{name}`: its file's, without folder and ending."""
        return self.path.stem

    @property
    def told(self) -> str:
        """What messages call it."""
        return self.called or self.path.name


@dataclass(frozen=True, slots=True)
class Graph:
    """All work on one picture, each piece once, makers before takers.

    models: every model that the work is done with, by name; `model` is the one that the flows begin with.
    defaults: families whose default the recipe or the command line chose: which stage, and where.
    given: the command line's picture, where a flow takes it; another than `item`, which the recipe opens, or the same.
    """

    nodes: tuple[Node, ...]
    results: tuple[NodeId, ...]
    item: Picture | None
    model: ModelInfo
    models: Mapping[str, ModelInfo] = field(default_factory=dict[str, "ModelInfo"])
    defaults: Mapping[str, str] = field(default_factory=dict[str, str])
    given: Picture | None = None

    def everything(self) -> Iterator[Node]:
        """Return its nodes, and those of all flows in brackets, each before the stage that runs it."""
        for node in self.nodes:
            yield from node.everything()

    def node(self, id_: NodeId) -> Node:
        """Return the node of that id, which the graph has."""
        return next(node for node in self.nodes if node.id == id_)

    def only(self, result: NodeId) -> Graph:
        """Return the part of the graph that one result needs."""
        wanted = {result}
        for node in reversed(self.nodes):
            if node.id in wanted:
                wanted.update(node.feeds())
        nodes = tuple(node for node in self.nodes if node.id in wanted)
        # Variants of one recipe may each begin with a model of their own.
        edges = (edge for node in nodes for _, edge in node.edges() if isinstance(edge, FromEngine))
        names = [edge.settings["model"] for edge in edges if "model" in edge.settings]
        model = self.model if self.model.name in names or not names else self.models.get(names[0], self.model)
        return replace(self, nodes=nodes, results=(result,), model=model)
