"""Masks that leave nothing to edit, or nothing to keep: told for the picture whose mask it is."""

from __future__ import annotations

from retouch.core.values import Mask
from retouch.graph.nodes import FromNode, Graph, Node, NodeId
from retouch.lang.diagnostics import Diagnostic, Report

_LOOK = "look at it with 'save mask \"mask.png\"'"


def deciding_masks(graph: Graph) -> frozenset[NodeId]:
    """The masks that decide what is edited: those that something else than a mask takes, files of masks aside."""
    makers = {node.id for node in graph.nodes if node.card.output == "Mask"}
    return frozenset(
        edge.id
        for node in graph.nodes
        if node.card.output not in ("Mask", None)
        for _, edge in node.edges()
        if isinstance(edge, FromNode) and edge.id in makers
    )


def covers_too_much_or_little(node: Node, mask: Mask) -> list[Diagnostic]:
    """A notice where a mask is 0 everywhere, or 1 everywhere."""
    report = Report()
    if not bool(mask.data.any()):
        report.add("RT513", node.span, stage=node.card.name, mend=_mend(node, "lower", _LOOK))
    elif bool((mask.data >= 1).all()):
        report.add("RT514", node.span, stage=node.card.name, mend=_mend(node, "higher", "leave it out"))
    return report.items


def _mend(node: Node, way: str, otherwise: str) -> str:
    at = node.options.get("threshold")
    return otherwise if at is None else f"try a {way} threshold than {at:.4g}, or {_LOOK}"
