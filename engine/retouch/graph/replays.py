"""Solvers that take the steps of a trajectory, and schedules whose steps are told twice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from retouch.graph.nodes import FromEngine, FromNode, Graph, Node
from retouch.graph.origins import COMMAND_LINE, RECIPE
from retouch.lang.diagnostics import Report

Facts = Mapping[str, Mapping[str, Any]]
ANY = "any"  # of the fact `replays`: every rule may walk such a trajectory
_SAID = (RECIPE.name, COMMAND_LINE.name)


def check_replays(graph: Graph, facts: Facts, report: Report) -> None:
    """Report a solver that cannot walk what was recorded, and steps that a list of levels does not have."""
    nodes = {node.id: node for node in graph.nodes}
    told = set[str]()
    for node in graph.nodes:
        _check_solver(node, nodes, facts, told, report)
        _check_steps(node, facts, report)


def _check_solver(node: Node, nodes: Mapping[str, Node], facts: Facts, told: set[str], report: Report) -> None:
    types = {port.name: port.type for port in node.card.ports}
    given = {types[port]: nodes[edge.id] for port, edge in node.edges() if port in types and isinstance(edge, FromNode)}
    solver, walk = given.get("Rule"), given.get("Trajectory")
    if solver is None or walk is None or solver.id in told:
        return
    can = str(facts[walk.id].get("replays") or "")
    if can == ANY or solver.card.method in can.split():
        return
    told.add(solver.id)
    known = can.split()
    label = f"only {' or '.join(known)} leads back to its source" if known else "its own rule alone knows the way"
    others = f"'solver {known[0]}'" if known else "an inversion that any solver may follow, such as 'invert ddim'"
    notes = (("recorded here", walk.span),)
    mend = f"leave the solver out, or use {others}"
    report.add("RT322", solver.span, label=label, solver=solver.card.name, walk=walk.card.name, mend=mend, notes=notes)


def _check_steps(node: Node, facts: Facts, report: Report) -> None:
    """A schedule that has its own number of steps, and a turn that says another."""
    if node.card.output != "Schedule" or node.origin.get("steps") not in _SAID:
        return
    own = facts[node.id].get("steps")
    for _, edge in node.edges():
        if isinstance(edge, FromEngine) and edge.type == "Schedule" and edge.settings["steps"] != own:
            said = edge.settings["steps"]
            report.add(
                "RT323", node.span, stage=node.card.name, own=own, said=said, mend=f"write steps={own}, or leave it out"
            )
