"""What a blend of pixels promises, that nothing changes outside of the mask, and stages behind it that break it."""

from __future__ import annotations

from retouch.graph.nodes import FromNode, Graph, Node
from retouch.lang.diagnostics import Report
from retouch.pictures.formats import of_file


def check_promises(graph: Graph, report: Report) -> None:
    """Warn of every stage that works on all of a picture whose outside was put back, and is not blended again."""
    users = {node.id: [each for each in graph.nodes if node.id in each.feeds()] for node in graph.nodes}
    for node in graph.nodes:
        if not _changes_all(node):
            continue
        maker = _before(graph, node)
        while maker and _changes_all(maker):  # of several in a row each is told
            maker = _before(graph, maker)
        if maker and maker.card.family == "blend" and not all(map(_puts_back, users[node.id])):
            report.add("RT565", node.span, stage=node.card.name, blend=maker.card.name)
    for node in graph.nodes:
        if node.card.family == "save" and (maker := _before(graph, node)) and maker.card.family in ("blend", "paste"):
            _check_lossless(node, maker, report)


def _check_lossless(node: Node, maker: Node, report: Report) -> None:
    """Warn of a file that changes every pixel a little, of a picture whose outside was put back."""
    format, quality = of_file(str(node.options.get("path") or "")), node.options.get("quality")
    if format and (format.quality is not None or quality):
        written, mend = (
            (format.name, "let the file end in .png")
            if format.quality is not None
            else (f"{format.name} with a quality", "leave 'quality' out")
        )
        report.add("RT131", node.span, format=written, blend=maker.card.name, mend=mend)


def _changes_all(node: Node) -> bool:
    """Whether a stage makes of a picture another of its size, all of it."""
    makes = node.card.output == "Image" and node.card.family not in ("blend", "paste", "open")
    return makes and node.card.takes("Image") and not any(node.turns()) and "height" not in node.card.facts


def _puts_back(node: Node) -> bool:
    """Whether it takes the source outside of a mask of its own, or works on all as the stage before it does."""
    return node.card.family in ("blend", "paste") or _changes_all(node)


def _before(graph: Graph, node: Node) -> Node | None:
    """The stage that made the picture which a stage takes."""
    for port in node.card.ports:
        edge = node.inputs.get(port.name)
        if port.type == "Image" and isinstance(edge, FromNode):
            return graph.node(edge.id)
    return None
