"""Sizes of pictures, told from headers before anything runs: what a model takes whole, and what wants a window."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from retouch.check.reading.environment import Environment
from retouch.check.wiring.context import Context
from retouch.check.wiring.state import MISSING
from retouch.graph.lineage import feeding
from retouch.graph.nodes import GIVEN, Edge, FromEngine, FromNode, Graph, Node
from retouch.graph.ports import FOLDER
from retouch.graph.sides import IN_PARTS, too_large, unfit
from retouch.lang.diagnostics import Report

KEEPING = ("encode", "decode", "invert", "sample", "distil", "blend")  # families that keep the size of their picture
_CARRIERS = ("Image", "Latents", "Trajectory", "Frame")  # ports that a picture comes in by, in one form or another


def check_sizes(graph: Graph, context: Context, report: Report) -> None:
    """Report every picture that would be encoded whole, and is larger than the model takes."""
    told = set[str]()
    _check_sides(graph, context, report)
    _check_parts(graph, context, report)
    _check_of_folders(graph, report)
    for node in graph.nodes:
        if node.card.family != "encode" or (opened := opened_by(graph, node)) is None:
            continue
        path, size = str(opened.options.get("path")), size_of(opened, context.world)
        named = (edge.settings.get("model", "") for _, edge in node.edges() if isinstance(edge, FromEngine))
        model = graph.models.get(next(filter(None, named), ""), graph.model)
        asking = (
            node for node in graph.nodes if node.card.output != "Denoiser" and "Denoiser" in _ports(node).values()
        )
        if (
            size is None
            or max(size) <= model.largest_side
            or path in told
            or all(windowed(graph, node) for node in asking if opened_by(graph, node) is opened)
        ):
            continue
        told.add(path)
        place = context.opened[path]
        what = f"the longer side of '{Path(path).name}', in pixels"
        mend = (
            "edit a part of it: 'mask … | crop' before that and 'paste' behind; all of it through windows: "
            f"'tiles multidiffusion' before that; or let it be made smaller: open … size={model.trained_size}"
        )
        facts = {"what": what, "count": max(size), "limit": model.largest_side, "mend": mend}
        report.add("RT404", place.span, source=place.source, **facts)


def windowed(graph: Graph, node: Node) -> bool:
    """Whether a stage's denoiser, if it takes one, sees the picture through windows."""
    given = [node.inputs[port] for port, type_ in _ports(node).items() if type_ == "Denoiser"]
    makers = [maker for edge in given if (maker := _maker(graph, edge))]
    return any("window" in maker.card.facts or windowed(graph, maker) for maker in makers)


def check_windowed(graph: Graph, report: Report) -> None:
    """Report controls that look at a mask of the whole picture, where the network sees windows of it."""
    for node in graph.nodes:
        for turn in node.turns():
            check_windowed(turn, report)
        if node.card.family != "sample" or not windowed(graph, node):
            continue
        for control in (graph.node(id_) for id_ in node.feeds()):
            if control.card.touches and "Mask" in _ports(control).values():
                report.add("RT436", control.span, stage=control.card.name)


def _check_parts(graph: Graph, context: Context, report: Report) -> None:
    """Report every stage that would make numbers of a whole picture which is read in parts alone."""
    for node in graph.nodes:
        if "parts" in node.card.facts or node.card.output == "Denoiser":
            continue
        for port, edge in node.edges():
            opened = _seen_whole(graph, _ports(node).get(port, ""), edge)
            if opened is None:
                continue
            if _told_whole(node, str(opened.options.get("path")), size_of(opened, context.world), IN_PARTS, report):
                break
    for node in graph.everything():
        for path in _read_whole(node):
            if _told_whole(node, path, _size_at(path, context.world), "save it smaller", report):
                break


def _seen_whole(graph: Graph, type_: str, edge: Edge | tuple[FromNode, ...]) -> Node | None:
    """The stage that opened the picture, of which all comes in by an edge: itself, or a mask of its pixels."""
    maker = _maker(graph, edge)
    while maker and type_ == "Mask" and maker.card.family == "mask" and "parts" in maker.card.facts:
        of = ("Frame", "Mask")  # what it was made of; a mask that is shaped is as large as it was
        types = _ports(maker)
        made_of = ((types[port], each) for port, each in maker.edges() if types.get(port) in of)
        type_, edge = next(made_of, ("", MISSING))
        maker = _maker(graph, edge)
    if maker is None or maker.card.family not in ("open", "paste") or type_ == "Window":
        return None
    while maker and maker.card.family == "paste":
        crop = _crop(graph, maker)
        maker = next((_maker(graph, each) for each in _carried(crop)), None)
    return maker if maker and maker.card.family == "open" else None


def _read_whole(node: Node) -> Iterator[str]:
    """Picture files, other than those that are opened, of which a stage works on all."""
    for _, edge in node.edges():
        if isinstance(edge, FromEngine):
            yield from (path for path, _ in edge.settings.get("learnt", ()))
    if node.card.takes("Pictures") and node.card.family != "open" and "parts" not in node.card.facts:
        yield from filter(None, [str(node.options.get("path") or "")])


def _told_whole(node: Node, path: str, size: tuple[int, int] | None, mend: str, report: Report) -> bool:
    """Report a picture of this height and width, if it is too large for a stage that works on all of it."""
    from retouch.pictures import MAX_PIXELS

    if size is None or math.prod(size) <= MAX_PIXELS:
        return False
    facts = too_large(f"all of '{Path(path).name}'", math.prod(size), mend)
    report.add("RT582", node.span, stage=node.card.name, **facts)
    return True


def _check_sides(graph: Graph, context: Context, report: Report) -> None:
    """Report every picture that has not the one size that a stage takes, at the stage."""
    for node in graph.nodes:
        side = node.card.side
        if not side or (opened := opened_by(graph, node)) is None:
            continue
        size = size_of(opened, context.world)
        if size is not None and size != (side, side):
            report.add("RT560", node.span, **unfit(node, size))


def _check_of_folders(graph: Graph, report: Report) -> None:
    """Report stages in brackets that are given the pictures of a folder, some of which have not the size they take."""
    for node in graph.nodes:
        for turn in node.turns():
            size = _size_of_folder(graph, node)
            for inner in turn.nodes if size else ():
                begun = begun_by(turn, inner)
                if size is None or begun is None or begun.card.family != GIVEN:
                    continue
                if inner.card.side and size != (inner.card.side, inner.card.side):
                    window = (
                        f"give it a square of each: mask … | crop size={inner.card.side} before it, and paste behind"
                    )
                    report.add("RT560", inner.span, **{**unfit(inner, size), "mend": window})
                elif inner.card.family == "encode" and max(size) > graph.model.largest_side:
                    asking = (each for each in turn.nodes if "Denoiser" in _ports(each).values())
                    if all(windowed(turn, each) for each in asking if begun_by(turn, each) is begun):
                        continue
                    mend = (
                        "edit a part of each: 'mask … | crop' before that and 'paste' behind; all of it through "
                        "windows: 'tiles multidiffusion' before that; or open smaller photographs"
                    )
                    what, limit = "the longer side of the photographs, in pixels", graph.model.largest_side
                    report.add("RT404", node.span, what=what, count=max(size), limit=limit, mend=mend)


def _size_of_folder(graph: Graph, node: Node) -> tuple[int, int] | None:
    """Height and width of the largest pictures of the folder that a stage's values come of, as they are described."""
    for maker in feeding(graph, node):
        for _, edge in maker.edges():
            if isinstance(edge, FromEngine) and edge.type == FOLDER and {"height", "width"} <= edge.settings.keys():
                return int(edge.settings["height"]), int(edge.settings["width"])
    return None


def opened_by(graph: Graph, node: Node) -> Node | None:
    """The stage that opened what a stage works on, where that has still its size: not inside of a window."""
    found = begun_by(graph, node)
    return found if found and found.card.family == "open" else None


def begun_by(graph: Graph, node: Node) -> Node | None:
    """The same, or in brackets the node that stands for what is given to them."""
    while (edge := next(_carried(node), None)) and (maker := _maker(graph, edge)):
        node = maker
        if node.card.family == "paste":
            node = _crop(graph, node)
        elif node.card.family in ("open", GIVEN):
            return node
        elif node.card.family not in KEEPING:
            return None
    return None


def outermost(graph: Graph, node: Node) -> Node:
    """The first of the crops whose windows lie in one another round a stage; the stage itself if it takes no window."""
    while "Window" in _ports(node).values():
        node = _crop(graph, node)
    return node


def size_of(opened: Node, world: Environment) -> tuple[int, int] | None:
    """Height and width of the picture that an `open` gives, as its header tells."""
    from retouch.pictures import scaled_size

    size = _size_at(str(opened.options.get("path")), world)
    return size and scaled_size(size, opened.options.get("size") or None)


def _size_at(path: str, world: Environment) -> tuple[int, int] | None:
    """Height and width of the picture there, if it can be read."""
    from retouch.pictures import Unreadable

    try:
        info = world.inspect(Path(path))
    except Unreadable:
        return None
    return info.height, info.width


def _crop(graph: Graph, node: Node) -> Node:
    """The crop that made the window which a stage takes."""
    port = next(port for port, type_ in _ports(node).items() if type_ == "Window")
    edge = node.inputs[port]
    assert isinstance(edge, FromNode)
    return graph.node(edge.id)


def _maker(graph: Graph, edge: Edge | tuple[FromNode, ...]) -> Node | None:
    """The stage that an edge comes from; None of what the engine gives, and where a mistake left nothing there."""
    return graph.node(edge.id) if isinstance(edge, FromNode) and edge != MISSING else None


def _carried(node: Node) -> Iterator[FromNode]:
    types = _ports(node)
    for port, edge in node.edges():
        if isinstance(edge, FromNode) and types.get(port) in _CARRIERS:
            yield edge


def _ports(node: Node) -> dict[str, str]:
    """Types of the ports that something goes to."""
    return {port.name: port.type for port in node.card.ports if port.name in node.inputs}
