"""The graph of a flow that is wired: the work that its results need, looked over as a whole."""

from __future__ import annotations

from collections.abc import Sequence

from retouch.check.wiring.context import Context
from retouch.check.wiring.state import MISSING
from retouch.graph.demands import check_demands
from retouch.graph.idle import check_idle
from retouch.graph.masks import check_settled
from retouch.graph.nodes import GIVEN, Graph, Node
from retouch.graph.plan import BadCard, plan
from retouch.graph.ports import MADE_OR_SUPPLIED
from retouch.graph.replays import check_replays
from retouch.graph.unheard import check_weights
from retouch.graph.windows import check_windows


def finished(context: Context, results: Sequence[str]) -> Graph:
    """Return the graph of these results, and report what is wrong with it as a whole."""
    nodes = context.builder.needed(results)
    _check_overwritten(context, nodes)
    graph = Graph(nodes, tuple(results), context.item, context.model, context.used_models, given=context.given)
    if not any(edge == MISSING for node in nodes for _, edge in node.edges()):  # else told already
        try:
            facts = plan(graph).facts
            check_windows(graph, facts, context.report)
            check_demands(graph, facts, context.report)
            check_replays(graph, facts, context.report)
            check_weights(graph, context.report)
            check_idle(graph, facts, context.report)
            check_settled(graph, facts, context.report)
        except BadCard as err:
            card, said = err.node.card, err.said
            context.report.add(
                "RT909", err.node.span, stage=card.name, setting=said.label, what=said.what, plugin=card.plugin
            )
    return graph


def _check_overwritten(context: Context, nodes: tuple[Node, ...]) -> None:
    """Report a value that is replaced unread, and warn of work that nothing needs."""
    needed = {node.id for node in nodes}
    lost = {lost.edge.id: lost for lost in context.lost}
    read = {id_ for node in context.builder.nodes.values() for id_ in node.feeds()}
    for id_, node in context.builder.nodes.items():
        if id_ in needed or id_ in read or node.put_in or node.card.family == GIVEN:
            continue
        if id_ in lost:
            gone = lost[id_]
            mend = f"{node.card.family} union other=…" if gone.type == "Mask" else "as one stage"
            notes = (("replaced here", gone.by),)
            context.report.add("RT302", gone.span, type=gone.type.lower(), mend=mend, notes=notes)
        else:
            label = f"nothing reads what '{node.card.name}' makes"
            mend = "use it in a later stage, or delete it"
            if node.card.output in MADE_OR_SUPPLIED:
                mend = "write it before the stages that are to use it; at the end of its turn it is gone"
            context.report.add("RT221", node.span, label=label, mend=mend)
