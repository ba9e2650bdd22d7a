"""Masks of files, looked at before anything runs: whether they are there, say what is edited, and fit their picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from retouch.check.reading.environment import Environment
from retouch.graph.nodes import FromNode, Graph, Node
from retouch.lang.diagnostics import Report

Found = tuple[str, Mapping[str, Any]]  # a code, and its facts
_SAME_SIZE = ("encode", "decode", "invert", "sample", "blend")  # families that keep the size of their picture


def check_masks(graphs: Sequence[Graph], world: Environment, report: Report) -> None:
    """Report every mask that cannot be one, each for its own picture."""
    sizes = _Sizes(world)
    for graph in graphs:
        for node in graph.nodes:
            if node.card.output == "Mask" and node.card.takes("Pictures") and (fault := sizes.fault(graph, node)):
                code, facts = fault
                with report.looking_at(str(graph.item.path) if graph.item and graph.item.known else None):
                    report.add(code, node.span, **facts)


class _Sizes:
    """What is known of files without running anything, each read once."""

    def __init__(self, world: Environment) -> None:
        self._world = world
        self._masks: dict[tuple[str, int | None], Found | tuple[int, int] | None] = {}

    def fault(self, graph: Graph, node: Node) -> Found | None:
        """What is wrong with the mask that a stage reads."""
        path, label = node.options.get("path"), node.options.get("label")
        if not path or (graph.item and not graph.item.known and not Path(path).is_file()):
            return None
        if (path, label) not in self._masks:
            self._masks[path, label] = self._looked_at(path, label)
        match self._masks[path, label]:
            case (int(height), int(width)):
                return self._of_another_size(graph, node, path, height, width)
            case (str(), _) as fault:
                return fault
            case _:
                return None

    def _looked_at(self, path: str, label: int | None) -> Found | tuple[int, int] | None:
        from retouch.pictures import UnfitMask, Unreadable

        name = Path(path).name
        if not Path(path).is_file():
            return "RT402", {"path": name, "mend": f"it would be {path}"}
        try:
            height, width = self._world.mask(Path(path), label).data.shape
        except UnfitMask as err:
            return "RT417", {"path": name, "what": err.what, "mend": err.mend}
        except Unreadable as err:
            return "RT504", {"path": name, "what": str(err)}
        return int(height), int(width)

    def _of_another_size(self, graph: Graph, node: Node, path: str, height: int, width: int) -> Found | None:
        size = self._source(graph, node)
        if size is None or size == (height, width):
            return None
        tall, wide = size
        what = f"it is {width}×{height} pixels and the picture {wide}×{tall}"
        return "RT417", {"path": Path(path).name, "what": what, "mend": "save it at that size"}

    def _source(self, graph: Graph, node: Node) -> tuple[int, int] | None:
        """Height and width of the picture that a stage works on, as far as headers tell."""
        from retouch.pictures import Unreadable, scaled_size

        opened = next(_opened(graph, node), None)
        if opened is None or not (path := Path(str(opened.options.get("path")))).is_file():
            return None
        try:
            info = self._world.inspect(path)
        except Unreadable:
            return None
        width, height = scaled_size((info.width, info.height), opened.options.get("size") or None)
        return height, width


def _opened(graph: Graph, node: Node) -> Iterator[Node]:
    """The stage that opened the picture of a stage's latents, if nothing on the way changes its size."""
    while (edge := next((e for port, e in _pictures(node)), None)) is not None:
        node = graph.node(edge.id)
        if node.card.family == "open":
            yield node
            return
        if node.card.family not in _SAME_SIZE:
            return


def _pictures(node: Node) -> Iterator[tuple[str, FromNode]]:
    types = {port.name: port.type for port in node.card.ports}
    for port, edge in node.edges():
        if isinstance(edge, FromNode) and types.get(port) in ("Image", "Latents", "Trajectory"):
            yield port, edge
