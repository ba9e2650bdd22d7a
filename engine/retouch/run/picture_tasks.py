"""What the tasks of a picture are made of: one for each stage, after those that feed it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from retouch.core.denoiser import Denoiser
from retouch.core.errors import UnfitSize
from retouch.core.values import Image, Latents
from retouch.graph.keys import of_no_picture
from retouch.graph.nodes import FromNode, Graph, Node, NodeId
from retouch.graph.unheard import difference_lost, edits, texts_of
from retouch.lang.syntax import Span
from retouch.models.errors import BrokenModel
from retouch.plugins.registry import Registry
from retouch.run.checkpoints import RunCheckpoints
from retouch.run.coverage import deciding_masks
from retouch.run.files.outbox import FileIn, FileOut, FolderIn, RunNotices
from retouch.run.files.provenance import Provenance
from retouch.run.files.tensors_in import TensorsIn
from retouch.run.loaded.base_weights import BaseWeights
from retouch.run.loaded.loaded_model import Machine
from retouch.run.loaded.machines import Machines
from retouch.run.looking_after import LookingAfter
from retouch.run.outcome import Outcome
from retouch.run.providers import Supply
from retouch.run.store.keeping import KeptStage, RunStore
from retouch.run.store.keys import model_of
from retouch.run.supplied_tasks import Turns
from retouch.run.task import Task
from retouch.run.training_log import RunTrainingLog
from retouch.run.whole import WholeRun


@dataclass(eq=False, slots=True)
class PictureTasks:
    """One picture at work.

    own: tasks that end with it; those that pictures share are not among them.
    missed: by part and in words, what its source said and no result of it keeps.
    prompts: what its models read, by where each word stands in the recipe.
    short: whether memory did not suffice for it.
    """

    graph: Graph
    outcome: Outcome
    missed: dict[str, str]
    own: list[Task] = field(default_factory=list[Task])
    prompts: list[tuple[Machine, Mapping[str, Span]]] = field(default_factory=list[tuple[Machine, Mapping[str, Span]]])
    deciding: frozenset[NodeId] = frozenset()  # masks by which it is decided what is edited
    short: bool = False


@dataclass(frozen=True, slots=True)
class StageAtWork:
    """Whose a task is.  model: the name of the recipe's, which messages say."""

    picture: PictureTasks
    node: Node
    model: str


@dataclass(slots=True)
class StageTasks:
    """Makes tasks of graphs; equal work of several pictures is one task.

    stages: of each task that has yet to end, whose it is: of a shared one, whoever came first.
    shared_by: who else has a shared one.
    kept: tasks whose values a store keeps.
    """

    run: WholeRun
    registry: Registry
    machines: Machines
    keep: bool  # values of all stages, in outcomes
    store: RunStore | None
    supply: Supply = field(default_factory=Supply)
    checkpoints: RunCheckpoints = field(default_factory=RunCheckpoints)
    learning: RunTrainingLog = field(init=False)
    looking_after: LookingAfter = field(init=False)
    stages: dict[Task, StageAtWork] = field(default_factory=dict[Task, StageAtWork])
    shared_by: dict[Task, list[tuple[Outcome, NodeId]]] = field(default_factory=dict)
    kept: dict[Task, KeptStage] = field(default_factory=dict[Task, KeptStage])

    def __post_init__(self) -> None:
        self.learning = RunTrainingLog(self.run.tell)
        weights = BaseWeights(self.machines.restore)
        self.looking_after = LookingAfter(self.registry, self.run.settings.device, weights)

    def of(self, graph: Graph, lane: int, replaced: PictureTasks | None = None) -> PictureTasks:
        """The tasks of a picture.  lane: its place among all.  replaced: itself, when it did not fit into memory."""
        machines = {
            name: self.machines.of(model) for name, model in {graph.model.name: graph.model, **graph.models}.items()
        }
        own_machine, outcome = machines[graph.model.name], Outcome(graph.item)
        missed, own = self._own_values(graph, outcome, own_machine)
        picture = PictureTasks(graph, outcome, missed)

        def at_work(task: Task, node: Node) -> None:
            self.stages[task] = StageAtWork(picture, node, graph.model.name)

        care_of = self.looking_after.within(outcome)
        turns = Turns(self.supply, machines, own_machine, own, self._start, care_of, at_work)
        tasks: dict[NodeId, Task] = {}
        strange, once, kept = self.looking_after.strange(graph), of_no_picture(graph), self._kept(graph, machines)
        for node in graph.nodes:
            if (key := once.get(node.id)) and (known := self.supply.shared(key)):
                tasks[node.id] = known
                self._take_part(known, picture, node, replaced)
                continue
            care = self.looking_after.care(node, graph, outcome, strange=node.id in strange)
            if (lost := _lost(node, machines, own_machine)) is not None:
                # What it would be given is not begun either, unless something else wants it: no row is paid for.
                task = Task(_raising(lost), name=node.id, wanted=False)
            elif node.card.family == "first":
                ways = tuple(tuple(tasks[id_] for id_ in each) for each in node.ways())
                task = Task(_nothing, name=node.id, ways=ways, wanted=False)
            else:
                after = tuple(
                    tasks[edge.id] if isinstance(edge, FromNode) else turns.supplied(edge, tasks, care)
                    for _, edge in node.edges()
                )
                aside = lane if node.card.family == "save" and not care.author else None
                task = Task(self._start(node), after, node.id, wanted=False, aside=aside, care=care)
                if node.id in kept:
                    self.kept[task] = kept[node.id]
                    kept[node.id].around(task)
            tasks[node.id] = task
            at_work(task, node)
            if key:
                self.supply.share(key, task)
        for id_ in graph.results:
            tasks[id_].want()
        picture.deciding = deciding_masks(graph)
        picture.own = [*turns.made, *(task for id_, task in tasks.items() if id_ not in once)]
        picture.prompts = [(machines[name], texts) for name, texts in texts_of(graph).items()]
        return picture

    def _own_values(self, graph: Graph, outcome: Outcome, machine: Machine) -> tuple[dict[str, str], dict[str, Any]]:
        """What its results do not keep of its source, and what the engine gives to stages, by port type."""
        run = self.run
        told = Provenance(graph, run.request, run.settings.told, self.registry.built_in)

        def written(path: Path, sha256: str) -> None:
            run.journal.saved(path, told.work_at(str(path)), sha256)

        called = {str(item.path): item.called for item in (graph.item, graph.given) if item and item.called}
        files = FileIn(machine.device, outcome.notices, called)
        out = FileOut(told, told.about, outcome.files, outcome.notices, written=written)
        out.signed = told.signed if run.request.signing else None
        return out.missed, {
            "Pictures": files,
            "Folder": FolderIn(files),
            "TensorFiles": TensorsIn(machine.device),
            "Outbox": out,
            "Sheet": run.shared,
            "Figures": run.shared,
            "TrainingLog": self.learning,
            "Checkpoints": self.checkpoints,
            "Notices": RunNotices(outcome.notices),
        }

    def _kept(self, graph: Graph, machines: Mapping[str, Machine]) -> Mapping[NodeId, KeptStage]:
        """The stages of a graph that a store keeps."""

        def network(node: Node) -> Denoiser | None:
            machine = machines.get(model_of(graph, node) or "")
            return machine.denoiser if machine else None

        return self.store.of(graph, network) if self.store else {}

    def _take_part(self, known: Task, picture: PictureTasks, node: Node, replaced: PictureTasks | None) -> None:
        """Let a picture have what another, or itself when it did not fit, has had made of no picture."""
        payer, outcome = self.stages[known], picture.outcome
        if payer.picture is replaced:
            self.stages[known] = StageAtWork(picture, node, payer.model)
            outcome.rows[node.id] = known.rows
        else:
            outcome.rows[node.id] = 0  # whoever came first has paid
            self.shared_by.setdefault(known, []).append((outcome, node.id))
        if self.keep and known.done and known.error is None:
            outcome.values[node.id] = known.result

    def _start(self, node: Node) -> Callable[..., Any]:
        """The call of a stage, once the values of its edges are there, in the order of `node.edges()`."""
        ports = [(port, len(given) if isinstance(given, tuple) else None) for port, given in node.inputs.items()]
        options = {option.parameter: node.options[option.name] for option in node.card.options}
        side = node.card.side

        def start(*values: Any) -> Any:
            function, rest = self.registry.function(node.card), iter(values)
            taken = {
                port: next(rest) if count is None else tuple(next(rest) for _ in range(count)) for port, count in ports
            }
            for value in values:  # check has seen the picture's size, and not that of windows
                if side and isinstance(value, Image | Latents) and value.size != (side, side):
                    raise UnfitSize(value.size)
            return function(**taken, **options)

        return start


def _lost(node: Node, machines: Mapping[str, Machine], own: Machine) -> Exception | None:
    """Why a stage would edit nothing, as far as prompts tell, or one in its brackets."""
    for edit in (edit for each in node.everything() for edit in edits(each)):
        with suppress(BrokenModel):  # whatever needs the model says so
            if lost := difference_lost(machines.get(edit.settings.get("model", ""), own).texts, edit):
                return lost
    return None


def _raising(error: Exception) -> Callable[[], Any]:
    def start() -> Any:
        raise error

    return start


def _nothing() -> None:
    """What a choice between ways does by itself."""
