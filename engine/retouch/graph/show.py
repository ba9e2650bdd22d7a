"""A plan as people read it, and as programs do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from retouch.cost import Rows
from retouch.graph.nodes import Edge, FromNode, Input, Node
from retouch.graph.plan import Plan


def as_text(plan: Plan) -> str:
    """The stages turn by turn: prompts, options that were chosen, rows, and why each put-in is there."""
    return "\n".join(_lines(plan)) + "\n"


def _lines(plan: Plan) -> Iterator[str]:
    graph = plan.graph
    item = graph.item
    yield f"{item.path.name if item else 'no picture'}, model '{graph.model.name}', {_rows(plan.total)} rows"
    turn = 0
    width = max(len(node.card.name) for node in graph.nodes) + 2
    for node in graph.nodes:
        if node.turn != turn:
            turn = node.turn
            yield f"turn {turn}"
        yield f"  {node.card.name:{width}}{_options(node)}{_cost(plan.rows[node.id])}".rstrip()
        for text in _prompts(node):
            yield f"  {'':{width}}{text}"
        if node.put_in:
            yield f"  {'':{width}}put in: {node.put_in}"


def _options(node: Node) -> str:
    """Options that someone chose: what the signature says need not be said again."""
    chosen = {**_supplied(node), **node.options}
    told = {name: node.origin.get(name, "signature") for name in chosen}
    return " ".join(f"{name}={chosen[name]}{_from(told[name])}" for name in chosen if told[name] != "signature")


def _from(origin: str) -> str:
    """Where a value comes from, if the recipe's own stage does not show it."""
    return "" if origin in ("recipe", "engine") else f" ({origin})"


def _supplied(node: Node) -> dict[str, Any]:
    """Settings of the engine's ports that are options of the turn, such as steps."""
    found: dict[str, Any] = {}
    for _, edge in node.edges():
        if not isinstance(edge, FromNode):
            found |= {name: value for name, value in edge.settings.items() if name in node.origin}
    return found


def _prompts(node: Node) -> Iterator[str]:
    for _, edge in node.edges():
        if isinstance(edge, FromNode):
            continue
        if edge.type == "Edit":
            yield f'"{edge.settings["source"]}" -> "{edge.settings["target"]}"'
        elif edge.type in ("SourcePrompt", "TargetPrompt"):
            yield f'{edge.type.removesuffix("Prompt").lower()} "{edge.settings["text"]}"'


def _cost(rows: Rows) -> str:
    return f"  [{_rows(rows)} rows]" if rows[1] else ""


def _rows(rows: Rows) -> str:
    least, most = rows
    return f"{least:g}" if least == most else f"{least:g} to {most:g}"


def as_data(plan: Plan) -> dict[str, Any]:
    """All of the plan as JSON has it."""
    graph = plan.graph
    picture = {"path": str(graph.item.path), "caption": graph.item.caption} if graph.item else None
    stages = [_node(node, plan.rows[node.id]) for node in graph.nodes]
    return {"picture": picture, "model": graph.model.name, "rows": list(plan.total), "stages": stages}


def _node(node: Node, rows: Rows) -> dict[str, Any]:
    return {
        "id": node.id,
        "stage": node.card.name,
        "turn": node.turn,
        "put_in": node.put_in,
        "options": {
            name: {"value": value, "from": node.origin[name]}
            for name, value in {**_supplied(node), **node.options}.items()
        },
        "inputs": {port: _input(given) for port, given in node.inputs.items()},
        "rows": list(rows),
    }


def _input(given: Input) -> Any:
    if isinstance(given, tuple):
        return [_edge(edge) for edge in given]
    return _edge(given)


def _edge(edge: Edge) -> Any:
    return edge.id if isinstance(edge, FromNode) else {"type": edge.type, **edge.settings}
