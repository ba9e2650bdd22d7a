"""What a stage's work comes from: which picture, and which other stages."""

from __future__ import annotations

from retouch.graph.nodes import FromNode, Graph, Node

_CARRY = ("Image", "Latents", "Trajectory")  # types of values that are a picture on its way, nearest to pixels first


def opened(graph: Graph, node: Node) -> Node | None:
    """The stage that opened the picture which a stage's own is made of; None if it is made of none."""
    while node.card.family != "open":
        if (edge := _picture(node)) is None:
            return None
        node = graph.node(edge.id)
    return node


def feeding(graph: Graph, node: Node) -> list[Node]:
    """The stages in a stage's brackets, those whose values it takes, and theirs, nearest first."""
    found: dict[str, Node] = {}
    waiting = [*node.feeds()]
    while waiting:
        if (id_ := waiting.pop(0)) not in found:
            found[id_] = graph.node(id_)
            waiting += found[id_].feeds()
    return [*list(node.everything())[:-1], *found.values()]


def _picture(node: Node) -> FromNode | None:
    """The value that holds the picture; of a choice between ways, which all work on one picture, that of the first."""
    edges = [(port, edge) for port, edge in node.edges() if isinstance(edge, FromNode)]
    if node.card.family == "first":
        return edges[0][1]
    types = {port.name: port.type for port in node.card.ports}
    return next((edge for type_ in _CARRY for port, edge in edges if types[port] == type_), None)
