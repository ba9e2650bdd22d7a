"""How many pictures are in memory at once: as many as fill a call, and fewer where they are large."""

from __future__ import annotations

from collections.abc import Sequence

from retouch import pictures
from retouch.graph.nodes import FromEngine, Graph

IN_FLIGHT = 32  # pictures: enough to fill the largest bucket, few enough to fit in memory
PIXELS_IN_FLIGHT = 64_000_000  # as opened
A_PIXEL = 50  # bytes, in the picture, its mask and its result


def waves_of(graphs: Sequence[Graph]) -> list[list[int]]:
    """The places of graphs that are worked on together, in their order."""
    waves: list[list[int]] = []
    left = 0
    for place, graph in enumerate(graphs):
        pixels = _pixels(graph)
        if not waves or len(waves[-1]) == IN_FLIGHT or pixels > left:
            waves.append([])
            left = PIXELS_IN_FLIGHT
        waves[-1].append(place)
        left -= pixels
    return waves


def kept_by(graph: Graph, cells: int) -> int:
    """Bytes that one picture keeps while its wave goes on: of pixels, and of states at every level of its walks.

    cells: numbers of one latent.
    """
    states = sum(
        int(edge.settings.get("steps", 0)) + 1
        for node in graph.everything()
        if node.card.output == "Trajectory"
        for _, edge in node.edges()
        if isinstance(edge, FromEngine) and edge.type == "Schedule"
    )
    return A_PIXEL * _pixels(graph) + 4 * cells * states


def _pixels(graph: Graph) -> int:
    """Pixels of the pictures that a graph opens, as their headers tell; 0 of what cannot be read."""
    total = 0
    for node in graph.nodes:
        if node.card.family == "open":
            try:
                info = pictures.inspect(str(node.options.get("path")))
            except pictures.Unreadable:
                continue
            width, height = pictures.scaled_size((info.width, info.height), node.options.get("size") or None)
            total += width * height
    return total
