"""Masks that decide what is edited, and what to say of one that leaves nothing to edit, or nothing to keep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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


def settled(graph: Graph, facts: Mapping[str, Mapping[str, Any]]) -> list[Node]:
    """The masks that decide what is edited and hold nothing, or everything, by the options of stages alone."""
    return [node for node in map(graph.node, takers(graph)) if _is_settled(facts[node.id])]


def check_settled(graph: Graph, facts: Mapping[str, Mapping[str, Any]], report: Report) -> None:
    """Tell of those, before anything runs; refuse those round which a window would be cut, and which hold nothing."""
    taken = takers(graph)
    for node in settled(graph, facts):
        empty = bool(facts[node.id].get("empty"))
        crops = [taker for taker in taken[node.id] if taker.card.family == "crop"]
        if empty and crops:
            report.add("RT510", node.span, stage=crops[0].card.name)
            continue
        cause = node
        while within := [each for id_ in cause.feeds() if _is_settled(facts[(each := graph.node(id_)).id])]:
            cause = within[0]
        report_coverage(node, report, any_edited=not empty, all_edited=not empty, cause=cause)


def _is_settled(stated: Mapping[str, Any]) -> bool:
    return bool(stated.get("empty") or stated.get("full"))


def report_coverage(
    node: Node, report: Report, *, any_edited: bool, all_edited: bool, mend: str = LOOK, cause: Node | None = None
) -> None:
    """Tell of a mask that is 0 everywhere, or 1 everywhere.

    mend: for an empty one, where it has no threshold; cause: the mask before it that makes it so, if one does.
    """
    if not any_edited:
        report.add("RT513", node.span, stage=node.card.name, mend=_mend(cause or node, "lower", mend))
    elif all_edited:
        report.add(
            "RT514",
            node.span,
            stage=node.card.name,
            mend=_mend(cause or node, "higher", "let it take less, or leave it out with all that reads it"),
        )


def _mend(node: Node, way: str, otherwise: str) -> str:
    for name in ("threshold", "at"):
        if (at := node.options.get(name)) is not None:
            return f"try a {way} {name} than {at:.4g}, or {LOOK}"
    return otherwise
