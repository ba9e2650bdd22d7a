"""Run graphs: one task for each stage of each picture, all of them packed into shared calls."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from retouch.core.device.repeatable import undisturbed, with_threads
from retouch.graph.nodes import Graph
from retouch.graph.places import Beside
from retouch.graph.unheard import report_cut
from retouch.lang.diagnostics import Report
from retouch.models import families
from retouch.models.network.captured import give_back_memory
from retouch.plugins.registry import Registry
from retouch.plugins.survival import surviving
from retouch.run.device import working_on
from retouch.run.endings import Endings, is_lack_of_memory
from retouch.run.executor import BatchInfo, Executor
from retouch.run.failure import Blame
from retouch.run.files.provenance import Request
from retouch.run.files.run_journal import RunJournal
from retouch.run.files.shared import SharedFiles
from retouch.run.loaded.loaded_model import Machine
from retouch.run.loaded.machines import Machines, MakeMachine
from retouch.run.outcome import RunResult
from retouch.run.picture_tasks import PictureTasks, StageTasks
from retouch.run.settings import Settings
from retouch.run.store.keeping import RunStore
from retouch.run.store.keys import model_of
from retouch.run.strangers.watchdog import Watchdog, patience
from retouch.run.task import forget
from retouch.run.waves import waves_of
from retouch.run.whole import RunPart, Tell, WholeRun

Changed = dict[str, list[str]]  # by a model's digest, what a stranger's family did


def execute(
    graphs: Sequence[Graph],
    *,
    registry: Registry,
    request: Request | None = None,
    settings: Settings | None = None,
    machine: MakeMachine = Machine,
    tell: Tell | None = None,
    keep: bool = True,
    refused: Beside | None = None,
    journal: RunJournal | None = None,
    store: RunStore | None = None,
) -> RunResult:
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
    machine: MakeMachine = Machine,
    keep: bool = False,
    store: RunStore | None = None,
    changed: Changed | None = None,
) -> RunPart:
    """Run the graphs of what may be a part of a run; what concerns all its pictures waits for the others.

    changed: by model, what strangers' families left changed in the parts before, and after it in this one.
    """
    tasks = StageTasks(run, registry, Machines(run.settings, machine), keep, store)
    pipelines = {model.pipeline for graph in run.graphs for model in (graph.model, *graph.models.values())}
    strange = {families.module_of(each): families.plugin_of(each) for each in pipelines if families.is_strangers(each)}
    endings = Endings(run, tasks, Blame.of(registry.cards, registry.built_in, strange))
    with undisturbed(), with_threads(run.settings.threads_used), working_on(run.settings.device):
        pictures = [tasks.of(graph, lane) for lane, graph in enumerate(run.graphs)]
        calls = _in_waves(pictures, tasks, endings)
    _tell_of_families(pictures, tasks.machines, {} if changed is None else changed)
    for picture in pictures:
        for machine_of, texts in picture.prompts:
            if any(picture.outcome.rows.values()) and not machine_of.info.known.reads:  # else the check has told
                report_cut(machine_of.texts, texts, report := Report())
                known = picture.outcome.warnings
                known += [each for each in report.items if each not in known]
    return RunPart([picture.outcome for picture in pictures], calls, [picture.missed for picture in pictures])


def _tell_of_families(pictures: Sequence[PictureTasks], machines: Machines, changed: Changed) -> None:
    """Warn of what strangers' families left changed, each picture that used one."""
    for digest, machine in machines.made.items():
        if machine.guard:
            known = changed.setdefault(digest, [])
            known += [what for what in machine.guard.changed if what not in known]
    for picture in pictures:
        graph = picture.graph
        for name, model in {graph.model.name: graph.model, **graph.models}.items():
            if not (guard := machines.of(model).guard):
                continue
            on_it = next((node for node in graph.nodes if model_of(graph, node) == name), graph.nodes[0])
            report = Report()
            for what in changed[model.digest]:
                report.add("RT578", on_it.span, family=guard.family, plugin=guard.plugin, what=what)
            picture.outcome.warnings += report.items
    for machine in machines.made.values():  # which may be kept for other runs
        if machine.guard:
            machine.guard.changed.clear()


def _in_waves(pictures: list[PictureTasks], tasks: StageTasks, endings: Endings) -> list[BatchInfo]:
    """Drive everything to its end, a wave at a time; where memory runs out, in smaller waves from there on.

    What has ended is let go: a picture's own values with its wave, a shared one with the last picture that takes it.
    pictures: those that did not fit are replaced.  Returns the calls that were made.
    """
    run, supply = tasks.run, tasks.supply

    def called(info: BatchInfo) -> None:
        run.tell("call", {"kind": info.kind, "rows": info.rows, "bucket": info.bucket})

    executor = Executor(run.settings.buckets, called)
    needed = [supply.needed(picture.own) for picture in pictures]
    takers = Counter(task for each in needed for task in each)  # pictures that have yet to end
    waves, most = deque(waves_of(run.graphs)), len(pictures)
    while waves:
        wave = waves.popleft()
        if len(wave) > most:
            waves.extendleft((wave[most:], wave[:most]))
            continue
        endings.divisible = len(wave) > 1
        supplied = dict.fromkeys(task for place in wave for task in needed[place])
        own = [task for place in wave for task in pictures[place].own]
        with Watchdog(patience(), lambda: executor.beats, endings.blame.stranger, run.tell), _alive(tasks):
            executor.run([*supplied, *own], endings.ended)
        short = [place for place in wave if pictures[place].short]
        takers.subtract(task for place in wave if place not in short for task in needed[place])
        for task in (*own, *(task for task in supplied if not takers[task])):
            task.result = None
        for place in wave:
            for task in pictures[place].own:
                tasks.stages.pop(task, None)
            pictures[place].own = []
        if short:
            most = max(1, len(wave) // 2)
            run.tell("halved", {"pictures": most})
            give_back_memory()
            # What pictures share may fit, too, with fewer of them beside it.
            forget(task for task in supplied if is_lack_of_memory(task.error))
            for place in short:
                pictures[place] = tasks.of(run.graphs[place], place, replaced=pictures[place])
                before, needed[place] = needed[place], supply.needed(pictures[place].own)
                takers.update(needed[place])
                takers.subtract(before)
            waves.appendleft(short)
        soon = {task for place in (waves[0] if waves else ()) for task in needed[place]}
        # A text that comes again in a thousand pictures is read again.
        forget(task for task in supplied if task.light and task not in soon)
    return executor.calls


def _alive(tasks: StageTasks) -> AbstractContextManager[None]:
    """Strangers' stages may not end the process; without them nothing is surrounded."""
    strange = any(task.care and task.care.strange for task in tasks.stages)
    return surviving() if strange else nullcontext()
