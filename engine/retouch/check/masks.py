"""Masks of files, looked at before anything runs: whether they are there, say what is edited, and fit their picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from retouch.check.reading.environment import Environment
from retouch.check.sizes import opened_by, outermost, size_of
from retouch.graph.nodes import Graph, Node
from retouch.lang.diagnostics import Report
from retouch.paths import is_file

Found = tuple[str, Mapping[str, Any]]  # a code, and its facts


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
        if not path or (graph.item and not graph.item.known and not is_file(Path(path))):
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
        if not is_file(Path(path)):
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
        """Height and width of the picture that a mask is of: that which its windows were cut from."""
        opened = opened_by(graph, outermost(graph, node))
        return size_of(opened, self._world) if opened else None
