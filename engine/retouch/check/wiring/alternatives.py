"""`first(a, b)`: ways from one place, of which the first that holds what it requires gives the result."""

from __future__ import annotations

from retouch.check.reading.flows import Alternatives
from retouch.check.wiring.insertions import Wire
from retouch.check.wiring.state import MISSING, FlowState, Slot
from retouch.graph.nodes import Node
from retouch.plugins.signatures import StageCard


def choose(state: FlowState, part: Alternatives, wire: Wire) -> None:
    """Wire each way apart, then one node for each type that all of them make."""
    ways = [state.apart() for _ in part.alternatives]
    for way, calls in zip(ways, part.alternatives, strict=True):
        for call in calls:
            wire(way, call)
    made = [way.held.since(state.held) for way in ways]
    if len({tuple(way) for way in made}) > 1:
        what = "; ".join(", ".join(way) or "nothing" for way in made)
        state.context.report.add("RT309", part.span, what=what)
        state.held.slots |= {type_: Slot(MISSING, part.span, state.model) for way in made for type_ in way}
        return
    for type_ in made[0]:
        # The value comes first; what else the way made is required as well, or a failed `require` would go unseen.
        edges = {f"way_{i}": (way[type_], *(e for t, e in way.items() if t != type_)) for i, way in enumerate(made)}
        card = StageCard("first", type_, module="", function="", file="", line=0, output=type_)
        edge = state.context.builder.add(Node("", card, edges, {}, {}, state.turn, None, part.span))
        if type_ in state.context.world.registry.gathered:
            state.held.many.setdefault(type_, []).append(edge)
        else:
            state.held.slots[type_] = Slot(edge, part.span, state.model)
