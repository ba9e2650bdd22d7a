"""What is drawn: a box for each piece of work, an arrow for each value that goes from one to another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from textwrap import wrap
from typing import Literal

from retouch.graph.keys import node_keys
from retouch.graph.nodes import FromNode, Graph, Node
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
        keys = node_keys(graph)
        for node in graph.nodes:
            key = keys[node.id]
            kind = "put_in" if node.put_in else "stage" if node.card.output else "result"
            box = Box(f"n{len(boxes) + 1}", node.card.name, tuple(_lines(node)), kind, node.put_in or "")
            boxes.setdefault(key, box)
            for _, edge in node.edges():
                if isinstance(edge, FromNode):
                    label = graph.node(edge.id).card.output or ""
                    arrows[Arrow(boxes[keys[edge.id]].id, boxes[key].id, label)] = None
    return Chart(tuple(boxes.values()), tuple(arrows))


def _lines(node: Node) -> Iterator[str]:
    for name, value in chosen(node).items():
        text = f"{name} = {value}"
        yield text if len(text) <= LONGEST else f"{text[: LONGEST // 2]}…{text[-LONGEST // 2 + 1 :]}"
    for prompt in prompts(node):
        for side in prompt.replace('" -> "', '"\n-> "').splitlines():
            yield from wrap(side, LONGEST)
