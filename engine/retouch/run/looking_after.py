"""Which stages of a run are strangers', and what looks after each: a plugin from elsewhere may do anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from retouch.graph.lineage import feeding
from retouch.graph.nodes import FromNode, Graph, Node, NodeId
from retouch.lang.diagnostics import Report
from retouch.models import families
from retouch.plugins.registry import Registry
from retouch.run.loaded.base_weights import BaseWeights
from retouch.run.outcome import Outcome
from retouch.run.strangers.care import Makers, StageCare
from retouch.run.strangers.results import Declared


@dataclass(slots=True)
class LookingAfter:
    """What all stages of a run are looked after by.

    weights: those of the engine's networks, as they have to stay.  makers: who made what is handed on.
    """

    registry: Registry
    device: str
    weights: BaseWeights
    makers: Makers = field(default_factory=Makers)

    def strange(self, graph: Graph) -> set[NodeId]:
        """The nodes in which a plugin takes part that does not come with the engine: its stages, and what they feed."""
        models = {graph.model.name: graph.model, **graph.models}.values()
        if any(families.is_strangers(model.pipeline) for model in models):
            return {node.id for node in graph.nodes}  # a stranger's family evaluates what all of them ask
        strange: set[NodeId] = set()
        for node in graph.nodes:
            plugins = {each.card.plugin for each in node.everything()} - {""}
            foreign = not plugins <= self.registry.built_in
            if foreign or not strange.isdisjoint(node.feeds()):
                strange.add(node.id)
        return strange

    def within(self, outcome: Outcome) -> Callable[[Node, Graph, bool], StageCare]:
        """What looks after the stages in brackets, each in its own graph."""
        return lambda node, inner, strange: self.care(
            node, inner, outcome, strange=strange or node.id in self.strange(inner)
        )

    def care(self, node: Node, graph: Graph, outcome: Outcome, *, strange: bool) -> StageCare:
        """What looks after a stage: the type that it declares, and what it leaves changed is told of its picture."""

        def tell(what: str) -> None:
            report = Report()
            # A stage of the engine's own calls functions of others; it changes nothing by itself.
            strangers = [
                each
                for each in (node, *feeding(graph, node))
                if each.card.plugin and each.card.plugin not in self.registry.built_in
            ]
            who = next(iter(strangers), node)
            report.add("RT516", who.span, stage=who.card.name, plugin=who.card.plugin, what=what)
            outcome.warnings += [each for each in report.items if each not in outcome.warnings]

        # Of several models it is open which one's latents a stage makes.
        channels = getattr(graph.model.known, "channels", None) if len(graph.models) < 2 else None
        declared = Declared(node.card.output, torch.device(self.device).type, channels)
        author = node.card.plugin if node.card.plugin not in self.registry.built_in else ""
        ports = [port for port, _ in node.edges()]
        near = [graph.node(edge.id) for _, edge in node.edges() if isinstance(edge, FromNode)]

        def resized(given: tuple[int, int], made: tuple[int, int]) -> None:
            (tall, wide), (height, width) = given, made
            outcome.resized[node.id] = f"made {width}×{height} pixels of {wide}×{tall}"

        return StageCare(node, near, declared, ports, strange, author, tell, resized, self.weights, self.makers)
