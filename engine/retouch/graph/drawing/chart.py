"""What is drawn: a box for each piece of work, an arrow for each value that goes from one to another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from textwrap import wrap
from typing import Literal

from retouch.graph.keys import node_keys
from retouch.graph.nodes import FromNode, Graph, Node
from retouch.graph.ports import TURN
from retouch.graph.show import chosen, prompts

LONGEST = 44  # characters of a line in a box


@dataclass(frozen=True, slots=True)
class Box:
    """One stage: what it is called, and the lines below."""

    id: str
    title: str
    lines: tuple[str, ...] = ()
    kind: Literal["stage", "put_in", "result"] = "stage"
    why: str = ""  # a put-in stage is there


@dataclass(frozen=True, slots=True)
class Arrow:
    """A value on its way, labelled by its type."""

    start: str
    end: str
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Boxes, makers before takers, and the arrows between them."""

    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]


def chart(graphs: Iterable[Graph]) -> Chart:
    """Return all graphs as one drawing; work that several of them share is one box."""
    boxes: dict[str, Box] = {}
    arrows: dict[Arrow, None] = {}
    for graph in graphs:
        _add(graph, "", boxes, arrows)
    return Chart(tuple(boxes.values()), tuple(arrows))


def _add(graph: Graph, inside: str, boxes: dict[str, Box], arrows: dict[Arrow, None]) -> Mapping[str, str]:
    """Add a graph, and those of flows in brackets before the stages that run them; the box of each node.

    inside: the key of the brackets, whose stages are nobody else's.
    """
    keys = {id_: inside + key for id_, key in node_keys(graph).items()}
    for node in graph.nodes:
        key = keys[node.id]
        inner = [(turn, _add(turn, f"{key}/", boxes, arrows)) for turn in node.turns()]
        kind = "put_in" if node.put_in else "stage" if node.card.output else "result"
        box = Box(f"n{len(boxes) + 1}", node.card.name, tuple(_lines(node)), kind, node.put_in or "")
        boxes.setdefault(key, box)
        for turn, drawn in inner:
            arrows[Arrow(drawn[turn.results[0]], boxes[key].id, TURN)] = None
        for _, edge in node.edges():
            if isinstance(edge, FromNode):
                label = graph.node(edge.id).card.output or ""
                arrows[Arrow(boxes[keys[edge.id]].id, boxes[key].id, label)] = None
    return {id_: boxes[key].id for id_, key in keys.items()}


def _lines(node: Node) -> Iterator[str]:
    for name, value in chosen(node).items():
        text = f"{name} = {value}"
        yield text if len(text) <= LONGEST else f"{text[: LONGEST // 2]}…{text[-LONGEST // 2 + 1 :]}"
    for prompt in prompts(node):
        for side in prompt.replace('" -> "', '"\n-> "').splitlines():
            yield from wrap(side, LONGEST)
