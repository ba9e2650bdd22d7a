"""Stages that act during a part of the walk, and walks that have no step in that part."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from retouch.core.declared.touches import holds_a_step
from retouch.graph.nodes import FromEngine, FromNode, Graph, Input, Node, NodeId
from retouch.lang.diagnostics import Report

Facts = Mapping[str, Mapping[str, Any]]
Window = tuple[float, float]  # fractions of the steps that are taken: from the first up to the second


def windows(node: Node, facts: Mapping[str, Any]) -> list[Window]:
    """When a stage's value acts: the windows of its touches, or the fact `during`; none where it always does."""
    options = {option.parameter: node.options.get(option.name) for option in node.card.options}
    bound = [touch.bound(options) for touch in node.card.touches]
    during = [facts["during"]] if "during" in facts else []
    return [*((float(touch.start), float(touch.until)) for touch in bound), *during]


def acting(node: Node, nodes: Mapping[NodeId, Node], facts: Facts) -> Node:
    """The node without the controls and blends that act at no step of its walk: these cost nothing."""
    steps = _walk(node, facts)
    if not steps:
        return node

    def kept(given: Input) -> Input:
        if not isinstance(given, tuple):
            return given
        return tuple(edge for edge in given if not _idle(windows(nodes[edge.id], facts[edge.id]), steps))

    return replace(node, inputs={port: kept(given) for port, given in node.inputs.items()})


def check_windows(graph: Graph, facts: Facts, report: Report) -> None:
    """Report what a walk is given and has no step for."""
    nodes = {node.id: node for node in graph.nodes}
    for node in graph.nodes:
        walked = facts[node.id].get("steps" if node.card.output == "Trajectory" else "walked")
        if walked == 0:
            _report_no_step(node, facts, report)
        if steps := _walk(node, facts):
            if steps == 1:
                _report_led_by_nothing(node, nodes, report)
            for id_ in node.feeds():
                if missed := _missed(windows(nodes[id_], facts[id_]), steps):
                    _report(nodes[id_], missed, steps, report)


def _walk(node: Node, facts: Facts) -> int:
    """How many steps a node takes of the trajectory that it is given; 0 where it is given none."""
    given = [node.inputs.get(port.name) for port in node.card.ports if port.type == "Trajectory"]
    return max((facts[edge.id].get("steps", 0) for edge in given if isinstance(edge, FromNode)), default=0)


def _idle(found: list[Window], steps: int) -> bool:
    return bool(found) and not any(holds_a_step(*window, steps) for window in found)


def _missed(found: list[Window], steps: int) -> list[Window]:
    """The windows that were meant to be open and hold no step; all of them, if the stage never acts."""
    if _idle(found, steps):
        return found
    return [window for window in found if window[0] < window[1] and not holds_a_step(*window, steps)]


def _report(node: Node, missed: list[Window], steps: int, report: Report) -> None:
    late = max(start for start, _ in missed)
    share = f"{100 * (steps - 1) // steps}%"
    label = f"the last step begins at {share} of the walk, and this acts from {late:.0%} on"
    mend = f"let it begin at {share} or before"
    if not late:
        names = {option.parameter: option.name for option in node.card.options}
        ends = dict.fromkeys(f"'{names[touch.until]}'" for touch in node.card.touches if isinstance(touch.until, str))
        label, mend = (
            "its windows end where they begin",
            f"give {' or '.join(ends) or 'its windows'} a part of the steps",
        )
    taken = f"{steps} step{'s' * (steps > 1)}"
    report.add("RT315", node.span, label=label, stage=node.card.name, steps=taken, mend=mend)


def _report_led_by_nothing(node: Node, nodes: Mapping[NodeId, Node], report: Report) -> None:
    """Report losses of a walk of one step: that is the last, which draws next to no noise and is led by as little."""
    waiting = [*node.feeds()]
    while waiting:
        maker = nodes[waiting.pop()]
        if maker.card.output != "Guidance":
            continue
        waiting += maker.feeds()  # the guidance that it takes may be led as well
        if "gradient" in maker.card.facts:
            report.add("RT468", maker.span, stage=maker.card.name)


def _report_no_step(node: Node, facts: Facts, report: Report) -> None:
    """Report a walk whose part of the schedule is shorter than one step, with the least that makes one."""
    schedules = [node.inputs.get(port.name) for port in node.card.ports if port.type == "Schedule"]
    made = [facts[each.id]["steps"] for each in schedules if isinstance(each, FromNode)]
    steps = next(iter([*made, *(each.settings["steps"] for each in schedules if isinstance(each, FromEngine))]), 0)
    shortens, strength = "strength" in node.options, node.options.get("strength") or 0
    ways = [f"strength={math.ceil(100 / steps)}%"] if steps and shortens else []
    ways += [f"steps={math.ceil(1 / strength - 1e-9)}"] if strength * 1000 >= 1 else []
    label = f"{strength:.4g} of {steps} step{'s' * (steps != 1)} is less than one" if shortens else "it has no steps"
    mend = f"give at least {' or '.join(ways) or 'one step'}"
    report.add("RT312", node.span, label=label, stage=node.card.name, mend=mend)
