"""A plan as programs read it.  `SCHEMA` names the form, which `document` and `as_data` spell out.

Keys may be added under one number; a change of meaning, or a key that goes, counts it up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from retouch.graph.estimate import Estimate
from retouch.graph.keys import node_keys
from retouch.graph.nodes import Edge, FromNode
from retouch.graph.origins import PRECEDENCE
from retouch.graph.plan import Plan, calls, plan, summed, total
from retouch.graph.show import settings

SCHEMA = "retouch.plan/1"


def document(
    recipe: str, plans: Sequence[Plan], limits: Mapping[str, int], needs: Sequence[Estimate]
) -> dict[str, Any]:
    """Return the whole plan of a recipe: what every picture costs, with which models, and every stage."""
    models = {plan.graph.model.name: plan.graph.model for plan in plans}
    return {
        "schema": SCHEMA,
        "recipe": recipe,
        "rows": list(total(plans)),
        "calls": list(calls(plans)),
        "limits": dict(limits),
        "precedence": [origin.name for origin in PRECEDENCE],
        "models": [
            {
                "name": model.name,
                "folder": str(model.folder),
                "revision": model.revision,
                "digest": model.digest,
                "space": model.space,
                "prediction": model.prediction,
                "trained_size": model.trained_size,
                "largest_side": model.largest_side,
                "tokens": model.tokens,
            }
            for model in models.values()
        ],
        "estimates": [each.as_data() for each in needs],
        "graphs": [as_data(plan) for plan in plans],
    }


def as_data(shown: Plan) -> dict[str, Any]:
    """Return all work on one picture."""
    graph = shown.graph
    picture = {"path": str(graph.item.path), "caption": graph.item.caption} if graph.item else None
    return {
        "picture": picture,
        "model": graph.model.name,
        "rows": list(shown.total),
        "results": list(graph.results),
        "defaults": dict(graph.defaults),
        "stages": _stages(shown),
    }


def _stages(shown: Plan) -> list[dict[str, Any]]:
    keys = node_keys(shown.graph)
    return [
        {
            "id": node.id,
            "stage": node.card.name,
            "plugin": node.card.plugin,
            "version": node.card.version,
            "stability": node.card.stability,
            "turn": node.turn,
            "put_in": node.put_in,
            "options": {name: {"value": value, "from": node.origin[name]} for name, value in settings(node).items()},
            "inputs": {
                port: [_edge(edge) for edge in given] if isinstance(given, tuple) else _edge(given)
                for port, given in node.inputs.items()
            },
            "output": node.card.output,
            "rows": list(shown.rows[node.id]),
            "key": keys[node.id],
        }
        for node in shown.graph.nodes
    ]


def _edge(edge: Edge) -> Any:
    """A stage's name, or what the engine gives; of a flow in brackets all its stages, and its rows each time."""
    if isinstance(edge, FromNode):
        return edge.id
    told = {"type": edge.type, **edge.settings}
    if edge.turn is None:
        return told
    inner = plan(edge.turn)
    rows = {"rows": list(inner.each_time), "rows_once": list(summed(inner.once.values()))}
    return {**told, **rows, "results": list(edge.turn.results), "stages": _stages(inner)}
