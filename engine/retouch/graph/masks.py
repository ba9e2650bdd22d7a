"""Masks that decide what is edited, and what to say of one that leaves nothing to edit, or nothing to keep."""

from __future__ import annotations

from retouch.graph.nodes import FromNode, Graph, Node, NodeId
from retouch.lang.diagnostics import Report

LOOK = "look at it with 'save mask \"mask.png\"'"


def is_file_of_mask(node: Node) -> bool:
    """Whether a stage reads a mask from a file, so that it is known before anything runs."""
    return node.card.output == "Mask" and node.card.takes("Pictures")


def takers(graph: Graph) -> dict[NodeId, list[Node]]:
    """By mask that decides what is edited, what takes it: something else than a mask, files of masks aside."""
    found: dict[NodeId, list[Node]] = {node.id: [] for node in graph.nodes if node.card.output == "Mask"}
    for node in graph.nodes:
        if node.card.output not in ("Mask", None):
            for _, edge in node.edges():
                if isinstance(edge, FromNode) and edge.id in found:
                    found[edge.id].append(node)
    return {id_: nodes for id_, nodes in found.items() if nodes}


def report_coverage(node: Node, report: Report, *, any_edited: bool, all_edited: bool, mend: str = LOOK) -> None:
    """Tell of a mask that is 0 everywhere, or 1 everywhere.  mend: for an empty one, where it has no threshold."""
    if not any_edited:
        report.add("RT513", node.span, stage=node.card.name, mend=_mend(node, "lower", mend))
    elif all_edited:
        report.add(
            "RT514",
            node.span,
            stage=node.card.name,
            mend=_mend(node, "higher", "let it take less, or leave it out with all that reads it"),
        )


def _mend(node: Node, way: str, otherwise: str) -> str:
    at = node.options.get("threshold")
    return otherwise if at is None else f"try a {way} threshold than {at:.4g}, or {LOOK}"
