"""The places of results in files that many of them share, such as contact sheets and tables."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from retouch.graph.nodes import FromEngine, Graph, NodeId, Picture
from retouch.graph.ports import PICTURE_AXIS, SHARED

Axes = tuple[tuple[str, str], ...]  # (name, label), outermost first
Beside = Mapping[Picture, Collection[Picture]]


@dataclass(frozen=True, slots=True)
class SharedPlace:
    """Where one result goes.  graph, node: who makes it; -1 and "" of a picture that does not run."""

    type: str  # of the port that is given it: one of SHARED
    axes: Axes
    graph: int
    node: NodeId


def shared_places(graphs: Iterable[Graph], refused: Beside) -> dict[str, list[SharedPlace]]:
    """By its path, what is to come into each shared file, in its order.

    refused: pictures that do not run, with those that do and go through the same flows.  Their places stay empty.
    """
    found: dict[str, list[SharedPlace]] = {}
    for at, graph, stands_for in _in_order(list(graphs), refused):
        for id_, edge in _edges(graph):
            path, axes = edge.settings["path"], edge.settings["axes"]
            if not stands_for:
                found.setdefault(path, []).append(SharedPlace(edge.type, axes, at, id_))
            elif PICTURE_AXIS in dict(axes):  # else the path names the picture: that file is its own
                own = tuple((name, stands_for.name if name == PICTURE_AXIS else label) for name, label in axes)
                found.setdefault(path, []).append(SharedPlace(edge.type, own, -1, ""))
    return found


def _in_order(graphs: list[Graph], refused: Beside) -> list[tuple[int, Graph, Picture | None]]:
    """Every graph, and in its place among the others each refused picture, with a graph such as it would have."""
    found: list[tuple[int, Graph, Picture | None]] = [(at, graph, None) for at, graph in enumerate(graphs)]
    for picture, beside in refused.items():
        alike = [i for i, (_, graph, stands_for) in enumerate(found) if (stands_for or graph.item) in beside]
        if not alike:
            continue
        behind = [i for i in alike if (item := found[i][1].item) and item.index > picture.index]
        found.insert(behind[0] if behind else alike[-1] + 1, (-1, found[alike[0]][1], picture))
    return found


def _edges(graph: Graph) -> Iterator[tuple[NodeId, FromEngine]]:
    for node in graph.nodes:
        for _, edge in node.edges():
            if isinstance(edge, FromEngine) and edge.type in SHARED:
                yield node.id, edge
