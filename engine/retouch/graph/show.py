"""A plan as people read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from retouch.graph.nodes import GIVEN, FromNode, Node
from retouch.graph.origins import PRECEDENCE
from retouch.graph.plan import Plan, plan, summed
from retouch.plugins.cost import Rows


def as_text(shown: Plan) -> str:
    """Return the stages turn by turn: prompts, options that were chosen, rows, and why each put-in is there."""
    graph = shown.graph
    picture = graph.item.path.name if graph.item else "no picture"
    lines = [f"{picture}, model '{graph.model.name}', {rows_text(shown.total)} rows"]
    lines += [f"'{family}' without a method is {stage}" for family, stage in graph.defaults.items()]
    turn = 0
    for node, text in zip(graph.nodes, _stages(shown, "  "), strict=True):
        if node.turn != turn:
            turn = node.turn
            lines.append(f"turn {turn}")
        lines += text
    return "\n".join(line.replace("\n", "\\n") for line in lines) + "\n"  # names of files may hold line feeds


def _stages(shown: Plan, indent: str) -> Iterator[list[str]]:
    """The lines of each stage, and below it the flows in its brackets."""
    width = max(len(node.card.name) for node in shown.graph.nodes) + 2
    for node in shown.graph.nodes:
        # Where a value comes from is said unless the recipe's own stage shows it.
        options = [
            f"{name}={value}" if node.origin[name] in ("recipe", "engine") else f"{name}={value} ({node.origin[name]})"
            for name, value in chosen(node).items()
        ]
        if node.card.family == "crop" and node.options.get("size") == 0:  # nobody would know what is edited
            named = (str(edge.settings.get("model", "")) for _, edge in node.edges() if not isinstance(edge, FromNode))
            model = shown.graph.models.get(next(filter(None, named), ""), shown.graph.model)
            options.append(f"size={model.trained_size} (what '{model.name}' was trained on)")
        cost = f"  [{', '.join(costs)}]" if (costs := [*_costs(shown, node)]) else ""
        lines = [f"{indent}{node.card.name:{width}}{' '.join(options)}{cost}".rstrip()]
        lines += [f"{indent}{'':{width}}{text}" for text in prompts(node)]
        if node.put_in:
            lines.append(f"{indent}{'':{width}}put in: {node.put_in}")
        for turn in node.turns():
            inner = plan(turn)
            once = f", and {rows_text(paid)} once" if (paid := summed(inner.once.values()))[1] else ""
            lines.append(f"{indent}  in brackets, {rows_text(inner.each_time)} rows each time{once}:")
            for each, text in zip(turn.nodes, _stages(inner, f"{indent}    "), strict=True):
                lines += text if each.card.family != GIVEN else []
        yield lines


def _costs(plan: Plan, node: Node) -> Iterator[str]:
    """Rows of the denoiser, and passes of networks of a plugin's own."""
    if plan.rows[node.id][1]:
        yield f"{rows_text(plan.rows[node.id])} rows"
    if passes := plan.facts[node.id].get("passes"):
        yield f"{passes:g} passes of its own networks"


def order() -> str:
    """Say which of the places that a plan names wins: the table of precedence in one line."""
    return "values, nearest first: " + ", ".join(origin.name for origin in PRECEDENCE)


def chosen(node: Node) -> Mapping[str, Any]:
    """Return the options that someone chose: a signature's own defaults need not be said again."""
    known = settings(node).items()
    return {name: value for name, value in known if node.origin.get(name, "signature") != "signature"}


def settings(node: Node) -> Mapping[str, Any]:
    """Return the node's options, and those of its turn that it works with, such as steps."""
    found: dict[str, Any] = {}
    for _, edge in node.edges():
        if not isinstance(edge, FromNode):
            found |= {name: value for name, value in edge.settings.items() if name in node.origin}
    return found | dict(node.options)


def prompts(node: Node) -> Iterator[str]:
    """Return the prompts that a node is given, in full."""
    for _, edge in node.edges():
        if isinstance(edge, FromNode):
            continue
        if edge.type == "Edit":
            yield f'"{edge.settings["source"]}" -> "{edge.settings["target"]}"'
        elif edge.type in ("SourcePrompt", "TargetPrompt"):
            yield f'{edge.type.removesuffix("Prompt").lower()} "{edge.settings["text"]}"'


def rows_text(rows: Rows) -> str:
    """`250`, or `250 to 750` where the picture decides."""
    least, most = rows
    return f"{least:g}" if least == most else f"{least:g} to {most:g}"
