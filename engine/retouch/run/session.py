"""Run graphs: one task for each stage of each picture, all of them packed into shared calls."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from retouch.core.denoiser import Denoiser
from retouch.core.errors import UnfitSize, Unmet
from retouch.core.repeatable import with_threads
from retouch.core.values import Image, Latents, Mask
from retouch.core.walk import Trajectory
from retouch.graph.keys import of_no_picture
from retouch.graph.lineage import feeding
from retouch.graph.nodes import FromNode, Graph, Node, NodeId
from retouch.graph.places import Beside
from retouch.graph.ports import WRITERS
from retouch.graph.unheard import difference_lost, edits, report_cut, texts_of
from retouch.lang.diagnostics import Diagnostic, Report
from retouch.lang.syntax import Span
from retouch.models import families
from retouch.models.errors import BrokenModel
from retouch.models.info import ModelInfo
from retouch.models.network.acceleration import Acceleration
from retouch.plugins.registry import Registry
from retouch.plugins.survival import surviving
from retouch.run.base_weights import BaseWeights
from retouch.run.checkpoints import RunCheckpoints
from retouch.run.coverage import covers_too_much_or_little, deciding_masks
from retouch.run.executor import BatchInfo, Executor
from retouch.run.failure import Blame, diagnose
from retouch.run.files.outbox import FileIn, FileOut, FolderIn, RunNotices
from retouch.run.files.provenance import Provenance, Request
from retouch.run.files.run_journal import RunJournal
from retouch.run.files.shared import SharedFiles
from retouch.run.loaded_model import Machine
from retouch.run.looking_after import LookingAfter
from retouch.run.outcome import Outcome, Result
from retouch.run.providers import Supply
from retouch.run.results import WrongResult
from retouch.run.settings import Settings
from retouch.run.store.keeping import KeptStage, RunStore
from retouch.run.store.keys import model_of
from retouch.run.task import Skipped, Task, forget
from retouch.run.training_log import RunTrainingLog
from retouch.run.turns import Turns, blamed
from retouch.run.watchdog import Watchdog, patience
from retouch.run.waves import waves_of
from retouch.run.whole import RunPart, Tell, WholeRun

_DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16, "float64": torch.float64}


def execute(
    graphs: Sequence[Graph],
    *,
    registry: Registry,
    request: Request | None = None,
    settings: Settings | None = None,
    machine: Callable[[Any, str, torch.dtype, Acceleration], Machine] = Machine,
    tell: Tell | None = None,
    keep: bool = True,
    refused: Beside | None = None,
    journal: RunJournal | None = None,
    store: RunStore | None = None,
) -> Result:
    """Run the graphs of all pictures together, a wave of them at a time.

    request: what was asked for, which every result says of itself.
    tell: is told of events as they happen: ("call", …), ("stage", …), ("saved", …), ("failed", …).
    keep: whether outcomes hold the values of all stages; without, many pictures take no more memory than a few.
    refused: pictures that do not run, with those that go through the same flows; contact sheets show that they lack.
    journal: hears of each result and failure as it comes.
    store: where values that other runs made are looked for, and kept for others.
    A picture that fails fails alone.  KeyboardInterrupt passes through; files already written stay, whole.
    """
    run = WholeRun(
        graphs,
        request or Request(),
        settings or Settings(),
        registry.built_in,
        registry.live.observing(tell) or (lambda _event, _facts: None),  # whoever runs it, observers hear
        SharedFiles(graphs, refused),
        journal or RunJournal(()),
    )
    return run.completed([execute_part(run, registry=registry, machine=machine, keep=keep, store=store)])


def execute_part(
    run: WholeRun,
    *,
    registry: Registry,
    machine: Callable[[Any, str, torch.dtype, Acceleration], Machine] = Machine,
    keep: bool = False,
    store: RunStore | None = None,
) -> RunPart:
    """Run the graphs of what may be a part of a run; what concerns all its pictures waits for the others."""
    pipelines = {model.pipeline for graph in run.graphs for model in (graph.model, *graph.models.values())}
    strangers = {
        families.module_of(each): families.plugin_of(each) for each in pipelines if families.is_strangers(each)
    }
    blame = Blame.of(registry.cards, registry.built_in, strangers)
    part = _Run(
        run.graphs,
        registry,
        run.request,
        run.settings,
        machine,
        run.tell,
        keep,
        run.shared,
        waves_of(run.graphs),
        blame,
        run.journal,
        store,
    )
    with with_threads(run.settings.threads_used):
        for place, graph in enumerate(run.graphs):
            part.add(graph, place)
        return part.go()


@dataclass(slots=True)
class _Run:
    graphs: Sequence[Graph]
    registry: Registry
    request: Request
    settings: Settings
    make: Callable[[Any, str, torch.dtype, Acceleration], Machine]
    tell: Tell
    keep: bool
    shared: SharedFiles
    waves: list[list[int]]  # places of the graphs that run together
    blame: Blame
    journal: RunJournal
    store: RunStore | None
    kept: dict[Task, KeptStage] = field(default_factory=dict[Task, KeptStage])
    looking_after: LookingAfter = field(init=False)
    learning: RunTrainingLog = field(init=False)
    checkpoints: RunCheckpoints = field(default_factory=RunCheckpoints)
    machines: dict[str, Machine] = field(default_factory=dict[str, Machine])
    supply: Supply = field(default_factory=Supply)
    outcomes: list[Outcome] = field(default_factory=list[Outcome])
    stages: dict[Task, tuple[Outcome, Node, str]] = field(default_factory=dict)
    shared_by: dict[Task, list[tuple[Outcome, NodeId]]] = field(default_factory=dict)  # besides whoever came first
    causes: dict[int, Diagnostic] = field(default_factory=dict[int, Diagnostic])  # by the exception's identity
    missed: list[tuple[Outcome, dict[str, str]]] = field(default_factory=list[tuple[Outcome, dict[str, str]]])
    pictures: list[list[Task]] = field(default_factory=list[list[Task]])
    divisible: bool = False  # whether the wave that goes on has several pictures
    short: dict[int, Outcome] = field(default_factory=dict[int, Outcome])  # for which memory did not suffice
    masks: dict[int, frozenset[NodeId]] = field(default_factory=dict)  # by outcome
    feeding: dict[int, Callable[[Node], Sequence[Node]]] = field(default_factory=dict)  # by outcome
    prompts: list[tuple[Outcome, Machine, Mapping[str, Span]]] = field(
        default_factory=list[tuple[Outcome, Machine, Mapping[str, Span]]]
    )

    def __post_init__(self) -> None:
        self.looking_after = LookingAfter(self.registry, self.settings.device, BaseWeights(self._restore))
        self.learning = RunTrainingLog(self.tell)

    def add(self, graph: Graph, place: int) -> None:
        """One task for each node, after those that feed it.  place: of the picture among all, which may come again."""
        machines = {
            name: self._machine(model) for name, model in {graph.model.name: graph.model, **graph.models}.items()
        }
        own_machine = machines[graph.model.name]
        outcome, lane = Outcome(graph.item), place
        replaced = self.outcomes[place] if place < len(self.outcomes) else None  # it did not fit
        self.outcomes[place:] = [outcome, *self.outcomes[place + 1 :]]
        files = FileIn(own_machine.device, outcome.notices)
        told = Provenance(graph, self.request, self.settings.told, self.registry.built_in)
        out = FileOut(told, told.about, outcome.files, outcome.notices, written=self._recorded(told))
        out.signed = told.signed if self.request.signing else None
        self.missed.append((outcome, out.missed))
        own = {
            "Pictures": files,
            "Folder": FolderIn(files),
            "Outbox": out,
            "Sheet": self.shared,
            "Figures": self.shared,
            "TrainingLog": self.learning,
            "Checkpoints": self.checkpoints,
            "Notices": RunNotices(outcome.notices),
        }
        tasks: dict[NodeId, Task] = {}
        strange = self.looking_after.strange(graph)

        def done_once(task: Task, node: Node) -> None:
            self.stages[task] = (outcome, node, graph.model.name)

        care_of = self.looking_after.within(outcome)
        turns = Turns(self.supply, machines, own_machine, own, self._start, care_of, done_once)

        once = of_no_picture(graph)
        kept = self._kept(graph, machines)
        for node in graph.nodes:
            if (key := once.get(node.id)) and (known := self.supply.shared(key)):
                tasks[node.id] = known
                self._take_part(known, outcome, node, replaced)
                continue
            care = self.looking_after.care(node, graph, outcome, strange=node.id in strange)
            if (lost := self._lost(node, machines, own_machine)) is not None:
                # What it would be given is not begun either, unless something else wants it: no row is paid for.
                tasks[node.id] = Task(_raising(lost), name=node.id, wanted=False)
            elif node.card.family == "first":
                ways = tuple(tuple(tasks[id_] for id_ in each) for each in node.ways())
                tasks[node.id] = Task(_nothing, name=node.id, ways=ways, wanted=False)
            else:
                edges = [edge for _, edge in node.edges()]
                after = tuple(
                    tasks[edge.id] if isinstance(edge, FromNode) else turns.supplied(edge, tasks, care)
                    for edge in edges
                )
                aside = lane if node.card.family == "save" and not care.author else None
                task = Task(self._start(node), after, node.id, wanted=False, aside=aside, care=care)
                if node.id in kept:
                    self.kept[task] = kept[node.id]
                    kept[node.id].around(task)
                tasks[node.id] = task
            self.stages[tasks[node.id]] = (outcome, node, graph.model.name)
            if key:
                self.supply.share(key, tasks[node.id])
        self.masks[id(outcome)] = deciding_masks(graph)
        self.feeding[id(outcome)] = partial(feeding, graph)
        for id_ in graph.results:
            tasks[id_].want()
        own_tasks = [*turns.made, *(task for id_, task in tasks.items() if id_ not in once)]
        self.pictures[place:] = [own_tasks, *self.pictures[place + 1 :]]
        self.prompts += [(outcome, machines[name], texts) for name, texts in texts_of(graph).items()]

    def _take_part(self, known: Task, outcome: Outcome, node: Node, replaced: Outcome | None) -> None:
        """Let a picture have what another, or itself when it did not fit, has had made of no picture."""
        payer, _, model = self.stages[known]
        if payer is replaced:
            self.stages[known] = (outcome, node, model)
            outcome.rows[node.id] = known.rows
        else:
            outcome.rows[node.id] = 0  # whoever came first has paid
            self.shared_by.setdefault(known, []).append((outcome, node.id))
        if self.keep and known.done and known.error is None:
            outcome.values[node.id] = known.result

    def _recorded(self, told: Provenance) -> Callable[[Path, str], None]:
        return lambda path, sha256: self.journal.saved(path, told.work_at(str(path)), sha256)

    def _kept(self, graph: Graph, machines: Mapping[str, Machine]) -> Mapping[NodeId, KeptStage]:
        """The stages of a graph that a store keeps."""

        def network(node: Node) -> Denoiser | None:
            machine = machines.get(model_of(graph, node) or "")
            return machine.denoiser if machine else None

        return self.store.of(graph, network) if self.store else {}

    def _restore(self, modules: Sequence[nn.Module]) -> None:
        for machine in self.machines.values():
            machine.restore(modules)

    def _lost(self, node: Node, machines: Mapping[str, Machine], own: Machine) -> Exception | None:
        """Why a stage would edit nothing, as far as prompts tell, or one in its brackets."""
        for edit in (edit for each in node.everything() for edit in edits(each)):
            with suppress(BrokenModel):  # whatever needs the model says so
                if lost := difference_lost(machines.get(edit.settings.get("model", ""), own).texts, edit):
                    return lost
        return None

    def _machine(self, model: ModelInfo) -> Machine:
        if model.digest not in self.machines and model.plain:  # weights are loaded once for all that stands beside them
            plain = self._machine(model.plain)
            self.machines[model.digest] = Machine(
                model, self.settings.device, _DTYPES[self.settings.dtype], self.settings.acceleration, plain
            )
        if model.digest not in self.machines:
            self.machines[model.digest] = self.make(
                model, self.settings.device, _DTYPES[self.settings.dtype], self.settings.acceleration
            )
        return self.machines[model.digest]

    def _start(self, node: Node) -> Callable[..., Any]:
        """The call of a stage, once the values of its edges are there, in the order of `node.edges()`."""
        ports = [(port, len(given) if isinstance(given, tuple) else None) for port, given in node.inputs.items()]
        options = {option.parameter: node.options[option.name] for option in node.card.options}

        def start(*values: Any) -> Any:
            function, rest = self.registry.function(node.card), iter(values)
            taken = {
                port: next(rest) if count is None else tuple(next(rest) for _ in range(count)) for port, count in ports
            }
            _hold_to_side(node, values)
            return function(**taken, **options)

        return start

    def go(self) -> RunPart:
        """Drive everything to its end, a wave at a time; where memory runs out, in smaller waves from there on."""
        executor = Executor(self.settings.buckets, self._called)
        needed = [self.supply.needed(tasks) for tasks in self.pictures]
        takers = Counter(task for each in needed for task in each)  # pictures that have yet to end
        waves, most = deque(self.waves), len(self.graphs)
        while waves:
            wave = waves.popleft()
            if len(wave) > most:
                waves.extendleft((wave[most:], wave[:most]))
                continue
            self.divisible = len(wave) > 1
            supplied = dict.fromkeys(task for place in wave for task in needed[place])
            tasks = [task for place in wave for task in self.pictures[place]]
            with Watchdog(patience(), lambda: executor.beats, self.blame.stranger, self.tell), self._alive():
                executor.run([*supplied, *tasks], self._ended)
            short = [place for place in wave if id(self.outcomes[place]) in self.short]
            takers.subtract(task for place in wave if place not in short for task in needed[place])
            for task in (*tasks, *(task for task in supplied if not takers[task])):
                task.result = None
            for place in wave:  # what has ended is let go
                for task in self.pictures[place]:
                    self.stages.pop(task, None)
                self.pictures[place] = []
            if short:
                most = max(1, len(wave) // 2)
                self.tell("halved", {"pictures": most})
                # What pictures share may fit, too, with fewer of them beside it.
                forget(task for task in supplied if _is_lack_of_memory(task.error))
                for place in short:
                    self.add(self.graphs[place], place)
                    before, needed[place] = needed[place], self.supply.needed(self.pictures[place])
                    takers.update(needed[place])
                    takers.subtract(before)
                waves.appendleft(short)
            soon = {task for place in (waves[0] if waves else ()) for task in needed[place]}
            # A text that comes again in a thousand pictures is read again.
            forget(task for task in supplied if task.light and task not in soon)
        for outcome, model, texts in self.prompts:
            if any(outcome.rows.values()) and not model.info.known.reads:  # else the check has told
                report_cut(model.texts, texts, report := Report())
                outcome.warnings += [each for each in report.items if each not in outcome.warnings]
        self._tell_of_families()
        missed = {id(outcome): missed for outcome, missed in self.missed}
        return RunPart(self.outcomes, executor.calls, [missed[id(outcome)] for outcome in self.outcomes])

    def _tell_of_families(self) -> None:
        """Warn of what strangers' families left changed, each picture that used one."""
        for outcome, graph in zip(self.outcomes, self.graphs, strict=True):
            for name, model in {graph.model.name: graph.model, **graph.models}.items():
                if not (guard := self._machine(model).guard):
                    continue
                report = Report()
                on_it = next((node for node in graph.nodes if model_of(graph, node) == name), graph.nodes[0])
                for what in guard.changed:
                    report.add("RT578", on_it.span, family=guard.family, plugin=guard.plugin, what=what)
                outcome.warnings += report.items
        for machine in self.machines.values():  # which may be kept for other runs
            if machine.guard:
                machine.guard.changed.clear()

    def _alive(self) -> AbstractContextManager[None]:
        """Strangers' stages may not end the process; without them nothing is surrounded."""
        strange = any(task.care and task.care.strange for task in self.stages)
        return surviving() if strange else nullcontext()

    def _called(self, info: BatchInfo) -> None:
        self.tell("call", {"kind": info.kind, "rows": info.rows, "bucket": info.bucket})

    def _ended(self, task: Task) -> None:
        if task not in self.stages:
            return
        outcome, node, model = self.stages[task]
        outcome.rows[node.id] = task.rows
        if task.error is None:
            try:
                value = task.result
                if isinstance(value, Mask) and node.id in self.masks[id(outcome)]:
                    outcome.warnings += covers_too_much_or_little(node, value)
                if self.keep:
                    for each, id_ in ((outcome, node.id), *self.shared_by.get(task, ())):
                        each.values[id_] = value
            except Exception as error:  # of a type whose numbers cannot be asked
                task.error = error
        name = outcome.item.name if outcome.item else ""
        if task.error is None and node.card.family == "save":
            task.error = _unwritten(node, outcome)
        if task.error is None and task in self.kept:
            self.kept[task].ended(task)
        if task.error is None:
            self.tell("stage", {"item": name, "stage": node.card.name, "rows": task.rows})
            if node.card.family == "save":
                self.tell("saved", {"item": name, "path": node.options["path"]})
            if node.card.family == "require":
                outcome.notices += _measured(node.card.name, task.result)
            return
        self._failed(task.error, outcome, node, model)

    def _failed(self, error: BaseException, outcome: Outcome, node: Node, model: str) -> None:
        cause = error.cause if isinstance(error, Skipped) else error
        if self.divisible and _is_lack_of_memory(error):
            self.short[id(outcome)] = outcome  # it comes again, with fewer beside it
            return
        if id(cause) not in self.causes:
            place = blamed(cause) or node
            self.causes[id(cause)] = diagnose(place, cause, model, self.blame, self.feeding[id(outcome)](node))
        if node.card.takes(*WRITERS):
            self.journal.failed(Path(str(node.options["path"])), outcome.item, self.causes[id(cause)])
        if node.card.output is None and self.causes[id(cause)] not in outcome.failures:
            outcome.failures.append(told := self.causes[id(cause)])
            facts = {"item": outcome.item.name if outcome.item else "", "code": told.code, "message": told.message}
            self.tell("failed", facts)  # now, and with its place in the recipe when all has ended
        elif isinstance(error, Unmet):
            outcome.notices.append(f"{(blamed(error) or node).card.name}: {error}")


def _is_lack_of_memory(error: BaseException | None) -> bool:
    """Whether a task ended for that, or for what it needs having ended so."""
    cause = error.cause if isinstance(error, Skipped) else error
    return isinstance(cause, torch.OutOfMemoryError | MemoryError)


def _unwritten(node: Node, outcome: Outcome) -> WrongResult | None:
    """What a `save` has to be told that ended well and left no file."""
    path = Path(str(node.options["path"]))
    return None if path in outcome.files else WrongResult(f"the file '{path.name}'", "none")


def _measured(requirement: str, value: object) -> list[str]:
    """The figure that a requirement held with: the last of the certificate."""
    told = list(value.certificate.values()) if isinstance(value, Trajectory) else []
    return [f"{requirement}: {told[-1]}"] if told else []


def _hold_to_side(node: Node, values: Sequence[Any]) -> None:
    """Raise UnfitSize for a picture of another size than the stage takes: check has not seen those of windows."""
    side = node.card.side
    for value in values:
        if side and isinstance(value, Image | Latents) and value.size != (side, side):
            raise UnfitSize(value.size)


def _raising(error: Exception) -> Callable[[], Any]:
    def start() -> Any:
        raise error

    return start


def _nothing() -> None:
    """What a choice between ways does by itself."""
