"""Pictures, masks and windows that meet in one stage: those of different pictures have to be of one size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from retouch.check.reading.environment import Environment
from retouch.check.sizes import KEEPING, size_of, windowed
from retouch.graph.nodes import GIVEN, FromEngine, FromNode, Graph, Node, NodeId
from retouch.graph.plan import reckoning
from retouch.lang.diagnostics import Report
from retouch.plugins import cost
from retouch.plugins.signatures import Port

if TYPE_CHECKING:
    from retouch.models.info import ModelInfo

# Ports of something with a size.
_CARRIERS = ("Image", "SourceImage", "Latents", "SourceLatents", "Trajectory", "Frame", "Mask", "Window")
_OF_PICTURES = "take both from one picture, or open one of them with size=…"
_ANY = 1000  # pixels of a side, where only the ratio counts
_IN_BRACKETS = "given"  # in place of a node: picture, source and mask come to brackets at one size, whatever that is
# Families that make of a picture something of its size.
_KEEPING = (*KEEPING, "mask", "view", "require", "surround", "narrow", "match", "tiles", "repaint")


@dataclass(frozen=True, slots=True)
class Extent:
    """What pixels are counted in: an opened picture, the inside of a window, or either at another size."""

    node: NodeId
    longer: int | None  # side, in pixels; None of what a stage made larger or smaller
    size: tuple[int, int] | None = None  # height, width; of a window only the run knows its shorter side
    around: Extent | None = None  # what a window was cut from, and what was made larger before it was
    resized_by: str = ""  # the stage that made it larger or smaller

    @property
    def said(self) -> str:
        if self.node == _IN_BRACKETS:
            return "the size that these brackets are given"
        if self.size:
            return f"{self.size[1]}×{self.size[0]} pixels"
        return f"{self.longer} pixels on the longer side" if self.longer else f"the size that '{self.resized_by}' makes"

    @property
    def before_resizing(self) -> Extent:
        """The picture or window that this is at another size."""
        return self.around.before_resizing if self.around and self.resized_by else self

    def differs(self, other: Extent) -> bool:
        """Whether the two are certainly of different sizes."""
        if self.size and other.size:
            return self.size != other.size
        return None not in (self.longer, other.longer) and self.longer != other.longer

    def is_within(self, other: Extent) -> bool:
        """Whether this was cut or resized from the other, or from what was."""
        return self.around is not None and (self.around.node == other.node or self.around.is_within(other))


def check_extents(graph: Graph, world: Environment, report: Report) -> None:
    """Report every stage that is given two things of different sizes."""
    extents = extents_of(graph, world)
    for node in graph.nodes:
        for turn in node.turns():
            check_extents(turn, world, report)
        taken, made = _taken(node, extents), extents[node.id]
        most = model_of(node, graph).largest_side
        crops = node.card.family == "crop" and not any(windowed(graph, each) for each in graph.nodes)
        if made and made.longer and crops and made.longer > most:
            mend = f"write size={model_of(node, graph).trained_size}, or leave it out"
            what = f"the longer side that '{node.card.name}' lets be edited, in pixels"
            report.add("RT404", node.span, what=what, count=made.longer, limit=most, mend=mend)
        if made and made.longer and made.resized_by and node.card.family == "encode" and made.longer > most:
            _tell_resized(node, made, graph, report)
        for other in taken[1:]:
            if _do_not_fit(taken[0], other):
                (first, known), (then, extent) = taken[0], other
                mend = _mend(known, extent)
                a, b, size, of_b = first.name, then.name, known.said, extent.said
                report.add("RT335", node.span, stage=node.card.name, a=a, size=size, b=b, other=of_b, mend=mend)
                break


def extents_of(graph: Graph, world: Environment) -> Mapping[NodeId, Extent | None]:
    """What each stage's value is counted in, as far as that is known."""
    extents: dict[NodeId, Extent | None] = {}
    for node in graph.nodes:
        in_brackets = Extent(_IN_BRACKETS, None) if node.card.family == GIVEN else None
        extents[node.id] = in_brackets or _made(node, _taken(node, extents), graph, world)
    return extents


def _taken(node: Node, extents: Mapping[NodeId, Extent | None]) -> list[tuple[Port, Extent]]:
    return [(port, extent) for port, id_ in _carried(node) if (extent := extents.get(id_))]


def _tell_resized(node: Node, made: Extent, graph: Graph, report: Report) -> None:
    """Report a picture that was made larger than the model takes, unless nothing asks it of the whole."""
    asking = [each for each in graph.nodes if any(port.type == "Denoiser" for port in each.card.ports)]
    if asking and not any(windowed(graph, each) for each in graph.nodes):
        what = f"the longer side that '{made.resized_by}' makes, in pixels"
        mend = "make it smaller, or write 'tiles multidiffusion' behind it, which edits it through windows"
        limit = model_of(node, graph).largest_side
        report.add("RT404", graph.node(made.node).span, what=what, count=made.longer, limit=limit, mend=mend)


def _mend(one: Extent, other: Extent) -> str:
    """How what meets comes to be of one size."""
    inner = one if one.is_within(other) else other
    if not (one.is_within(other) or other.is_within(one)):
        return _OF_PICTURES
    if not inner.resized_by:
        return "make both behind 'crop', or both before it"
    inside = inner.around is not None and inner.around.around is not None
    anew = f"write 'mask window' behind '{inner.resized_by}'" if inside else f"make it behind '{inner.resized_by}'"
    return f"a mask stays at the size that it was made at: {anew}"


def _do_not_fit(one: tuple[Port, Extent], other: tuple[Port, Extent]) -> bool:
    """Whether they are of two sizes; a mask of the whole picture is none of a window's either, whatever the sizes."""
    (first, known), (then, extent) = one, other
    types = (first.type, then.type)
    if "Window" in types and known.before_resizing.node == extent.before_resizing.node:
        return False  # a window is seen at the size that its picture has come to (record 66)
    masked = "Mask" in types
    return known.node != extent.node and (
        known.differs(extent) or (masked and (known.is_within(extent) or extent.is_within(known)))
    )


def _made(node: Node, taken: list[tuple[Port, Extent]], graph: Graph, world: Environment) -> Extent | None:
    """What the stage's value is counted in, if that is known."""
    match node.card.family:
        case "open" if size := size_of(node, world):
            return Extent(node.id, max(size), size)
        case "crop":
            model = model_of(node, graph)
            longer = -(-int(node.options.get("size") or model.trained_size) // model.multiple) * model.multiple
            return Extent(node.id, longer, around=taken[0][1] if taken else None)
        case "paste":
            return next((extent.before_resizing.around for port, extent in taken if port.type == "Window"), None)
        case _ if taken and node.card.output == "Image" and "height" in node.card.facts:
            return _resized(node, taken[0][1])
        case family if family in _KEEPING and taken:
            return next((extent for port, extent in taken if port.type != "Window"), taken[0][1])
        case _:
            return None


def _resized(node: Node, given: Extent) -> Extent:
    """What a stage that states another size makes.

    Of a window only the longer side is known: so is that of what is made, where it is the same whatever the shorter is.
    """
    longer = given.longer or _ANY
    possible = [given.size] if given.size else [(longer, longer), (longer, 1), (1, longer)]
    stated = [_stated(node, size, longer) for size in possible]
    if stated == possible:
        return given
    sides = {max(size) for size in stated}
    known = stated[0] if given.size else None
    side = sides.pop() if given.longer and len(sides) == 1 else None
    return Extent(node.id, side, known, around=given, resized_by=node.card.name)


def _stated(node: Node, size: tuple[int, int], longer: int) -> tuple[int, int]:
    """Height and width that a stage states of what it makes of a picture of this height and width."""
    scope = {"height": size[0], "width": size[1], "about": 0, "side": longer} | dict(node.options)
    with reckoning(node):
        stated = cost.facts_of(node.card, scope)
    return stated["height"], stated["width"]


def _carried(node: Node) -> Iterator[tuple[Port, NodeId]]:
    """The ports that something with a size comes in by, and where it comes from."""
    ports = {port.name: port for port in node.card.ports if port.type in _CARRIERS}
    for name, edge in node.edges():
        if isinstance(edge, FromNode) and name in ports:
            yield ports[name], edge.id


def model_of(node: Node, graph: Graph) -> ModelInfo:
    """The model that a stage works with."""
    named = (edge.settings.get("model", "") for _, edge in node.edges() if isinstance(edge, FromEngine))
    return graph.models.get(next(filter(None, named), ""), graph.model)
