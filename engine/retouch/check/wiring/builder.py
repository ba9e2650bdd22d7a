"""Nodes of one graph, each piece of work once: equal stage, options and inputs are the same node."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from retouch.graph.keys import identity
from retouch.graph.nodes import FromNode, Node
from retouch.graph.origins import COMMAND_LINE


@dataclass(slots=True)
class NodeBuilder:
    """Collects nodes; makers come before takers, since a node is added when all it takes is there.

    prefix: of the names of its nodes, so that those in brackets have others than those round them.
    """

    prefix: str = ""
    turns: int = 0  # flows in brackets that were begun
    nodes: dict[str, Node] = field(default_factory=dict[str, Node])
    _known: dict[str, str] = field(default_factory=dict[str, str])
    _counts: Counter[str] = field(default_factory=Counter[str])

    def add(self, node: Node) -> FromNode:
        """Return the edge from this node, or from the one that does the same; a written one explains it best."""
        key = identity(node)
        if key in self._known:
            id_ = self._known[key]
            # A plan then shows the stage that its reader can find in the recipe.
            kept = node if self.nodes[id_].put_in and not node.put_in else self.nodes[id_]
            self.nodes[id_] = replace(kept, id=id_, origin={**kept.origin, **_from_outside(self.nodes[id_], node)})
            return FromNode(id_)
        name = f"{self.prefix}{node.card.family}.{node.card.method}"
        self._counts[name] += 1
        id_ = f"{name}#{self._counts[name]}"
        self._known[key] = id_
        self.nodes[id_] = replace(node, id=id_)
        return FromNode(id_)

    def for_turn(self, stage: str) -> NodeBuilder:
        """Return a builder for the flow in the brackets of a stage."""
        self.turns += 1
        return NodeBuilder(f"{self.prefix}{stage.replace(' ', '.')}({self.turns}).")

    def sinks(self) -> list[str]:
        """Return the nodes that make nothing for others: they are why the graph runs."""
        return [node.id for node in self.nodes.values() if node.card.output is None]

    def needed(self, results: Iterable[str]) -> tuple[Node, ...]:
        """Return the nodes that these results depend on, in the order of work."""
        wanted: set[str] = set(results)
        for id_ in reversed(self.nodes):
            if id_ in wanted:
                wanted.update(self.nodes[id_].feeds())
        return tuple(node for id_, node in self.nodes.items() if id_ in wanted)


def _from_outside(*equal: Node) -> dict[str, str]:
    """Which file of equal work the command line named for any of them: who makes a result again has to name it anew."""
    named = [node.origin.get("path") for node in equal if node.card.family == "open"]
    return {"path": COMMAND_LINE.name} if COMMAND_LINE.name in named else {}
