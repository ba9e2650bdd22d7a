"""Options that do not go together, that nothing reads, or that ask for more than the model has."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from retouch.graph.nodes import FromEngine, Graph, NodeId
from retouch.graph.origins import COMMAND_LINE, RECIPE
from retouch.graph.plan import of_model, reckoning, scope_of
from retouch.lang.diagnostics import Report
from retouch.plugins import cost

Facts = Mapping[str, Mapping[str, Any]]
_SAID = (RECIPE.name, COMMAND_LINE.name)


def check_demands(graph: Graph, facts: Facts, report: Report) -> None:
    """Report what the stages of a graph demand of their options and do not get.  Raises BadCard."""
    guided = _guided(graph, facts)
    for node in graph.nodes:
        scope = of_model(node, graph) | scope_of(node, facts)
        if not (graph.item and graph.item.known):  # prompts that the command line may still bring
            scope |= {"source_words": 0, "target_words": 0, "alike": 0}
        with reckoning(node):
            for need in node.card.needs:
                for guide in guided.get(node.id, (0,)):
                    walked = {"guide": guide} | scope
                    if not cost.holds("needs", need.holds, walked):
                        what, mend = (cost.sentence("needs", text, walked) for text in (need.what, need.mend))
                        report.add("RT226", node.span, stage=node.card.name, what=what, mend=mend)
            for moot in node.card.moot:
                if node.origin.get(moot.option) in _SAID and cost.holds("moot", moot.where, scope):
                    report.add("RT227", node.span, name=moot.option, why=moot.why)
        for _, edge in node.edges():
            if isinstance(edge, FromEngine) and edge.type == "Schedule":
                model = graph.models.get(edge.settings.get("model", ""), graph.model)
                steps = edge.settings["steps"]
                if model.grid and not model.grid.fits(steps):  # a model has only so many levels to visit
                    report.add("RT317", node.span, steps=steps, model=graph.model.name, most=model.grid.most(steps))


def _guided(graph: Graph, facts: Facts) -> Mapping[NodeId, set[Any]]:
    """Rows a guided prediction (the fact `guide`), for the stages whose values a guided walk takes."""
    found: defaultdict[NodeId, set[Any]] = defaultdict(set)
    for node in graph.nodes:
        if "guide" in (scope := scope_of(node, facts)):
            for id_ in node.feeds():
                found[id_].add(scope["guide"])
    return found
