"""Tasks of what the engine gives to the stages of one picture, flows in brackets among them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from retouch.graph.keys import of_no_picture
from retouch.graph.nodes import FromEngine, FromNode, Graph, Node, NodeId
from retouch.run.loaded.loaded_model import Machine
from retouch.run.providers import Supply
from retouch.run.strangers.care import StageCare
from retouch.run.task import Task
from retouch.run.turns import Ready, RunTurn


@dataclass(frozen=True, slots=True)
class Turns:
    """Makes the tasks of supplied values, flows in brackets among them, for the stages of one picture."""

    supply: Supply
    machines: Mapping[str, Machine]
    own_machine: Machine
    own: Mapping[str, Any]
    start: Callable[[Node], Callable[..., Any]]
    care: Callable[[Node, Graph, bool], StageCare]
    done_once: Callable[[Task, Node], None]
    made: list[Task] = field(default_factory=list[Task])  # of flows as values

    def supplied(self, edge: FromEngine, tasks: Mapping[NodeId, Task], taker: StageCare) -> Task:
        """The task whose result goes to a port.  tasks: of the nodes round it; taker: looks after the stage."""
        if edge.turn is not None:
            return self._turn(edge.turn, taker)
        return self.supply.task(edge, self._machine(edge), self.own, tasks[edge.sized_by.id] if edge.sized_by else None)

    def _machine(self, edge: FromEngine) -> Machine:
        return self.machines.get(edge.settings.get("model", ""), self.own_machine)

    def _turn(self, graph: Graph, taker: StageCare) -> Task:
        """A task that waits for all that a flow needs besides pictures; its result is the flow as a value."""
        once, shared = of_no_picture(graph), dict[NodeId, Task]()
        needs: list[tuple[NodeId, int, Task]] = []  # which edge of which node, and the task of its value
        for node in graph.nodes:
            care = self.care(node, graph, taker.strange)
            edges = [edge for _, edge in node.edges()]
            if key := once.get(node.id):
                if (task := self.supply.shared(key)) is None:
                    after = tuple(
                        shared[e.id] if isinstance(e, FromNode) else self.supplied(e, {}, care) for e in edges
                    )
                    task = Task(self.start(node), after, node.id, wanted=False, care=care)
                    self.supply.share(key, task)
                    self.done_once(task, node)
                shared[node.id] = task
                continue
            for place, edge in enumerate(edges):
                if isinstance(edge, FromEngine) and edge.sized_by is None:
                    needs.append((node.id, place, self.supplied(edge, {}, taker)))

        def start(*values: Any) -> RunTurn:
            """Put the values where they belong."""
            given = dict(zip([(id_, place) for id_, place, _ in needs], values, strict=False))
            made = dict(zip(shared, values[len(needs) :], strict=True))
            device = taker.declared.device
            care = lambda node: self.care(node, graph, taker.strange)  # noqa: E731 (one for each picture that goes through)
            return RunTurn(
                Ready(graph, self.start, given, self._sized, made, care, taker.inner.append, device, bool(taker.author))
            )

        self.made.append(Task(start, (*(task for *_, task in needs), *shared.values()), "Turn", wanted=False))
        return self.made[-1]

    def _sized(self, edge: FromEngine, latents: Any) -> Any:
        return self._machine(edge).schedule(edge.settings["steps"], tuple(latents.data.shape[-2:]))
