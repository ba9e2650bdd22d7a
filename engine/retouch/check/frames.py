"""Pictures, masks and windows that meet in one stage: those of different pictures have to be of one size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from retouch.check.reading.environment import Environment
from retouch.check.sizes import KEEPING, size_of, windowed
from retouch.graph.nodes import FromEngine, FromNode, Graph, Node, NodeId
from retouch.lang.diagnostics import Report
from retouch.plugins.signatures import Port

if TYPE_CHECKING:
    from retouch.models.info import ModelInfo

# Ports of something with a size.
_CARRIERS = ("Image", "SourceImage", "Latents", "SourceLatents", "Trajectory", "Frame", "Mask", "Window")
_OF_PICTURES = "take both from one picture, or open one of them with size=…"
_KEEPING = (*KEEPING, "mask", "view", "require")  # families that make of a picture something of its size


@dataclass(frozen=True, slots=True)
class _Frame:
    """What pixels are counted in: an opened picture, or the inside of a window."""

    node: NodeId
    longer: int  # side, in pixels
    size: tuple[int, int] | None = None  # height, width; of a window only the run knows its shorter side
    around: _Frame | None = None  # of a window: what it was cut from

    @property
    def said(self) -> str:
        return f"{self.size[1]}×{self.size[0]} pixels" if self.size else f"{self.longer} pixels on the longer side"

    def differs(self, other: _Frame) -> bool:
        """Whether the two are certainly of different sizes."""
        if self.size and other.size:
            return self.size != other.size
        return self.longer != other.longer

    def is_within(self, other: _Frame) -> bool:
        """Whether this is a window that was cut from the other, or from one in it."""
        return self.around is not None and (self.around.node == other.node or self.around.is_within(other))


def check_frames(graph: Graph, world: Environment, report: Report) -> None:
    """Report every stage that is given two things of different sizes."""
    frames: dict[NodeId, _Frame | None] = {}
    for node in graph.nodes:
        for turn in node.turns():  # what its stage gives it may be of any size
            check_frames(turn, world, report)
        taken = [(port, frame) for port, id_ in _carried(node) if (frame := frames.get(id_))]
        frames[node.id] = made = _made(node, taken, graph, world)
        most = _model(node, graph).largest_side
        crops = node.card.family == "crop" and not any(windowed(graph, each) for each in graph.nodes)
        if made and crops and made.longer > most:
            mend = f"write size={_model(node, graph).trained_size}, or leave it out"
            what = f"the longer side that '{node.card.name}' lets be edited, in pixels"
            report.add("RT404", node.span, what=what, count=made.longer, limit=most, mend=mend)
        for other in taken[1:]:
            if _do_not_fit(taken[0], other):
                (first, known), (then, frame) = taken[0], other
                window = known.is_within(frame) or frame.is_within(known)
                mend = "make both behind 'crop', or both before it" if window else _OF_PICTURES
                a, b, size, of_b = first.name, then.name, known.said, frame.said
                report.add("RT335", node.span, stage=node.card.name, a=a, size=size, b=b, other=of_b, mend=mend)
                break


def _do_not_fit(one: tuple[Port, _Frame], other: tuple[Port, _Frame]) -> bool:
    """Whether they are of two sizes; a mask of the whole picture is none of a window's either, whatever the sizes."""
    (first, known), (then, frame) = one, other
    masked = "Mask" in (first.type, then.type)
    return known.node != frame.node and (
        known.differs(frame) or (masked and (known.is_within(frame) or frame.is_within(known)))
    )


def _made(node: Node, taken: list[tuple[Port, _Frame]], graph: Graph, world: Environment) -> _Frame | None:
    """What the stage's value is counted in, if that is known."""
    match node.card.family:
        case "open" if size := size_of(node, world):
            return _Frame(node.id, max(size), size)
        case "crop":
            model = _model(node, graph)
            longer = -(-int(node.options.get("size") or model.trained_size) // model.multiple) * model.multiple
            return _Frame(node.id, longer, around=taken[0][1] if taken else None)
        case "paste":
            return next((frame.around for port, frame in taken if port.type == "Window"), None)
        case family if family in _KEEPING and taken:
            return taken[0][1]
        case _:
            return None


def _carried(node: Node) -> Iterator[tuple[Port, NodeId]]:
    """The ports that something with a size comes in by, and where it comes from."""
    ports = {port.name: port for port in node.card.ports if port.type in _CARRIERS}
    for name, edge in node.edges():
        if isinstance(edge, FromNode) and name in ports:
            yield ports[name], edge.id


def _model(node: Node, graph: Graph) -> ModelInfo:
    """The model that a stage works with."""
    named = (edge.settings.get("model", "") for _, edge in node.edges() if isinstance(edge, FromEngine))
    return graph.models.get(next(filter(None, named), ""), graph.model)
