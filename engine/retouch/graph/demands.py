"""Options that do not go together, that nothing reads, or that ask for more than the model has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from retouch.graph.nodes import FromEngine, Graph
from retouch.graph.origins import COMMAND_LINE, RECIPE
from retouch.graph.plan import scope_of
from retouch.lang.diagnostics import Report
from retouch.plugins import cost

Facts = Mapping[str, Mapping[str, Any]]
_SAID = (RECIPE.name, COMMAND_LINE.name)


def check_demands(graph: Graph, facts: Facts, report: Report) -> None:
    """Report what the stages of a graph demand of their options and do not get."""
    for node in graph.nodes:
        scope = scope_of(node, facts)
        for need in node.card.needs:
            if not cost.evaluate(need.holds, scope):
                what, mend = cost.filled(need.what, scope), cost.filled(need.mend, scope)
                report.add("RT226", node.span, stage=node.card.name, what=what, mend=mend)
        for moot in node.card.moot:
            if node.origin.get(moot.option) in _SAID and cost.evaluate(moot.where, scope):
                report.add("RT227", node.span, name=moot.option, why=moot.why)
        for _, edge in node.edges():
            if isinstance(edge, FromEngine) and edge.type == "Schedule":
                model = graph.models.get(edge.settings.get("model", ""), graph.model)
                steps = edge.settings["steps"]
                if model.grid and not model.grid.fits(steps):  # a model has only so many levels to visit
                    report.add("RT317", node.span, steps=steps, model=graph.model.name, most=model.grid.most(steps))
