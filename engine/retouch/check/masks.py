"""Masks of files, looked at before anything runs: whether they are there, say what is edited, and fit their picture.

One that edits nothing, or everything, is told of too, and refused where a window would be cut round it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retouch.check.extents import extents_of
from retouch.check.reading.environment import Environment
from retouch.check.sizes import outermost
from retouch.graph.masks import is_file_of_mask, report_coverage, takers
from retouch.graph.nodes import Graph, Node
from retouch.lang.diagnostics import Report
from retouch.paths import is_file

PAINT = "paint white in it what is to be edited"
Found = tuple[str, Mapping[str, Any]]  # a code, and its facts


def check_masks(graphs: Sequence[Graph], world: Environment, report: Report) -> None:
    """Report every mask that cannot be one, each for its own picture."""
    files = _Files(world)
    for graph in graphs:
        taken = takers(graph)
        parts = {id_ for node in graph.nodes if node.card.output == "Mask" for id_ in node.feeds()}  # of other masks
        for node in filter(is_file_of_mask, graph.nodes):
            with report.looking_at(str(graph.item.path) if graph.item and graph.item.known else None):
                if fault := files.fault(graph, node):
                    code, facts = fault
                    report.add(code, node.span, **facts)
                elif (seen := files.seen(node)) and (node.id in taken or node.id not in parts):
                    cut = [taker for taker in taken.get(node.id, ()) if taker.card.family == "crop"]
                    if cut and not seen.any_edited:  # no window can be cut round nothing
                        report.add("RT510", node.span, stage=cut[0].card.name)
                    else:
                        some, all_ = seen.any_edited, seen.all_edited
                        report_coverage(node, report, any_edited=some, all_edited=all_, mend=PAINT)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the pixels of a mask say."""

    size: tuple[int, int]  # height, width
    any_edited: bool
    all_edited: bool


class _Files:
    """What is known of files without running anything, each read once."""

    def __init__(self, world: Environment) -> None:
        self._world = world
        self._masks: dict[tuple[str, int | None], Found | _Seen] = {}

    def fault(self, graph: Graph, node: Node) -> Found | None:
        """What is wrong with the mask that a stage reads."""
        path, label = _named(node)
        # Of a picture that is not known yet, or where only others' results need them, masks may be missing.
        may_lack = self._world.partly or (graph.item is not None and not graph.item.known)
        if not path or (may_lack and not is_file(Path(path))):
            return None
        if (path, label) not in self._masks:
            self._masks[path, label] = self._looked_at(path, label)
        match self._masks[path, label]:
            case _Seen(size=(height, width)):
                outer = outermost(graph, node)
                extent = extents_of(graph, self._world)[outer.id]
                if extent and outer is not node:  # a crop, and the mask is as large as the picture that it cuts from
                    extent = extent.around
                if extent is None or extent.size is None or extent.size == (height, width):
                    return None
                made = f", as '{extent.resized_by}' makes it" if extent.resized_by else ""
                what = f"it is {width}×{height} pixels and the picture {extent.size[1]}×{extent.size[0]}{made}"
                return "RT417", {"path": Path(path).name, "what": what, "mend": "save it at that size"}
            case fault:
                return fault

    def seen(self, node: Node) -> _Seen | None:
        """What a mask says that is right as far as `fault` tells; None where it is not known yet."""
        found = self._masks.get(_named(node))
        return found if isinstance(found, _Seen) else None

    def _looked_at(self, path: str, label: int | None) -> Found | _Seen:
        from retouch.pictures import UnfitMask, Unreadable

        name = Path(path).name
        if not is_file(Path(path)):
            return "RT402", {"path": name, "mend": f"it would be {path}"}
        try:
            data = self._world.mask(Path(path), label).data
        except UnfitMask as err:
            return "RT417", {"path": name, "what": err.what, "mend": err.mend}
        except Unreadable as err:
            return "RT504", {"path": name, "what": err.about, "mend": err.mend}
        height, width = data.shape
        return _Seen((height, width), bool(data.any()), bool((data == 255).all()))


def _named(node: Node) -> tuple[str, int | None]:
    """The file of a mask, and the number of its area."""
    return str(node.options.get("path") or ""), node.options.get("label")
