"""What a flow in brackets does to its picture, told from the cards alone: what its stage may ask of it in `needs`."""

from __future__ import annotations

from collections.abc import Iterator

from retouch.graph.nodes import GIVEN, FromNode, Graph, Node, NodeId
from retouch.plugins import cost

# Ports that a picture comes in by; draws before the picture that they are of.
_CARRIERS = ("Candidates", "Image", "Latents", "Trajectory", "Frame")
_ANY = 1000  # pixels of a side, where only the ratio counts


def makes_a_mask(turn: Graph) -> bool:
    """Whether a flow gives back a mask of its own."""
    return len(turn.results) > 1


def resizes(turn: Graph) -> bool:
    """Whether a flow gives its picture back at another size.  Raises cost.Unsaid."""
    return _resized(turn, turn.results[0])


def _resized(turn: Graph, id_: NodeId) -> bool:
    node = turn.node(id_)
    if node.card.family == "first":
        return any(_resized(turn, way[0]) for way in node.ways())
    if node.card.family == GIVEN:
        return False
    if any(resizes(inner) for inner in node.turns()):
        return True
    if node.card.family == "paste":  # a window of any size is put back where it was cut
        window = next((each for type_, each in _feeds(node) if type_ == "Window"), None)
        node = turn.node(window) if window else node
    elif node.card.output == "Image" and "height" in node.card.facts:
        scope = {"height": _ANY, "width": _ANY, "about": 0, "side": _ANY} | dict(node.options)
        stated = cost.facts_of(node.card, scope)
        if (stated["height"], stated["width"]) != (_ANY, _ANY):
            return True
    before = [(_CARRIERS.index(type_), each) for type_, each in _feeds(node) if type_ in _CARRIERS]
    return bool(before) and _resized(turn, min(before)[1])


def _feeds(node: Node) -> Iterator[tuple[str, NodeId]]:
    """The types of the ports that another stage's value comes in by, and whose that is."""
    types = {port.name: port.type for port in node.card.ports}
    for name, edge in node.edges():
        if isinstance(edge, FromNode) and name in types:
            yield types[name], edge.id
