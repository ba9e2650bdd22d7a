"""Stages that change nothing as they are set, edits and negative prompts that nobody hears, eyes that nobody uses.

Told by what stages state: `idle`, `unheard`, `negatives`, `seen` and `glances`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from retouch.graph.nodes import FromEngine, Graph, Node
from retouch.graph.origins import COMMAND_LINE, RECIPE
from retouch.graph.unheard import edits
from retouch.lang.diagnostics import Report
from retouch.plugins import cost

Facts = Mapping[str, Mapping[str, Any]]
_SAID = (RECIPE.name, COMMAND_LINE.name)


def check_idle(graph: Graph, facts: Facts, report: Report) -> None:
    """Report stages that change nothing as they are set, and edits of which nothing is asked."""
    led = {id_ for node in graph.nodes if node.card.output == "Guidance" for id_ in node.feeds()}
    edited = {node.turn for node in graph.nodes if any(edits(node))}
    for node in graph.nodes:
        stated = facts[node.id]
        if "idle" in node.card.facts and stated.get("idle"):
            mend = "give it another value, or delete the stage"
            report.add(
                "RT564", node.span, stage=node.card.name, what=f"changes nothing: {_set(node, 'idle')}", mend=mend
            )
        # What leads this guidance may hear the edit by itself, as eyes do.
        elif "unheard" in node.card.facts and stated.get("unheard") and node.turn in edited and node.id not in led:
            what, mend = _unheard(node, stated)
            report.add("RT564", node.span, stage=node.card.name, what=what, mend=mend)
    _check_negatives(graph, facts, report)
    _check_eyes(graph, facts, report)


def _unheard(node: Node, stated: Mapping[str, Any]) -> tuple[str, str]:
    """How a stage keeps an edit from acting, and what to do."""
    if node.options.get("guidance") == 0:
        asked = "write guidance=1 for the prompt alone, or more to have it exaggerated"
        return f"asks nothing of the edit: {_set(node, 'unheard')} is the negative prompt alone", asked
    told = cost.names(str(node.card.facts["unheard"]))
    of = f" of {stated['steps']} steps" if "steps" in told and "steps" in stated else ""
    options = [name for name in node.options if name in told and isinstance(node.options[name], int | float)]
    values = ", ".join(f"{name}={node.options[name]:g}" for name in options)
    return f"lets no edit through: {values}{of}", f"write another {' or '.join(options)}"


def _check_negatives(graph: Graph, facts: Facts, report: Report) -> None:
    """Report negative prompts of which no guidance of their turn asks anything."""
    given = {node.turn: text for node in graph.nodes for text in _negative(node)}
    heard = {node.turn for node in graph.nodes if facts[node.id].get("reads_negative")}
    for node in graph.nodes:
        text = given.get(node.turn)
        if not text or node.turn in heard or text == graph.model.defaults.get("negative"):
            continue
        if facts[node.id].get("negatives"):
            what, mend = "brings negative prompts of its own", "choose another inversion"
        elif node.card.output == "Guidance" and not node.card.takes("Guidance") and facts[node.id].get("guide") == 1:
            alone = _set(node, "guide") if node.card.told == () else ""
            what = f"{alone} is the prompt alone" if alone else "tells the model its scale, and asks for one prompt"
            mend = "write more than 1" if alone else "choose another guidance, such as 'guide cfg'"
        else:
            continue
        said = f'asks nothing of the negative prompt "{text}": {what}'
        report.add("RT564", node.span, stage=node.card.name, what=said, mend=f"{mend}, or leave negative=… out")
        given.pop(node.turn)  # once


def _check_eyes(graph: Graph, facts: Facts, report: Report) -> None:
    """Report eyes that are given to stages of which none looks, as these are set."""
    for eye in (node for node in graph.nodes if node.card.family == "eye"):
        looks = [
            (taker, [name for name in ("seen", "glances") if name in taker.card.facts])
            for taker in graph.nodes
            if eye.id in taker.feeds()
        ]
        # Of a stage that states neither nobody knows whether it looks.
        if not looks or any(not names or any(map(facts[taker.id].get, names)) for taker, names in looks):
            continue
        taker, names = looks[0]
        what = f"is not looked through: of '{taker.card.name}' is asked {_set(taker, names[0])}"
        report.add("RT564", eye.span, stage=eye.card.name, what=what, mend="ask more, or leave the eye out")


def _negative(node: Node) -> Iterator[str]:
    """The negative prompt that a stage is given."""
    for _, edge in node.edges():
        if isinstance(edge, FromEngine) and edge.type in ("NegativePrompt", "Edit"):
            yield edge.settings["negative" if edge.type == "Edit" else "text"]


def _set(node: Node, fact: str) -> str:
    """The options that decide, as they are: those that somebody has written, where any were."""
    told = cost.names(str(node.card.facts[fact]))
    options = [name for name in node.options if name in told]
    said = [name for name in options if node.origin.get(name) in _SAID] or options
    return ", ".join(f"{name}={node.options[name]:g}" for name in said if isinstance(node.options[name], int | float))
