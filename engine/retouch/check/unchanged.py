"""Stages that set an edit beside its source, where nothing has been edited."""

from __future__ import annotations

from retouch.graph.nodes import FromNode, Graph
from retouch.lang.diagnostics import Report


def check_unchanged(graph: Graph, report: Report) -> None:
    """Warn of every stage that makes one picture of a picture and its source, which are the same."""
    for node in graph.nodes:
        for turn in node.turns():
            check_unchanged(turn, report)
        if node.card.output != "Image":
            continue
        given = {port.type: node.inputs.get(port.name) for port in node.card.ports}
        edited = given.get("Image")
        if isinstance(edited, FromNode) and edited == given.get("SourceImage"):
            report.add("RT336", node.span, stage=node.card.name)
