"""`retouch run`: check everything, then run all pictures together and say where the results lie."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from retouch.check.check import Checked
from retouch.cli import FAILED, SOME_FAILED, WRONG_RECIPE
from retouch.cli.loading import checked, making, one_given, settings_given, store_given, verdict
from retouch.cli.machine import check_machine
from retouch.cli.progress import Lines, Sentences
from retouch.cli.reporting import as_json, put
from retouch.cli.reporting import tell as tell_all
from retouch.cli.sharing import run_by_workers
from retouch.cli.signing import signing
from retouch.cli.source import Source
from retouch.cli.streams.plain import plain
from retouch.graph.cells import row_cells_of
from retouch.graph.done import Done, done, nothing_done
from retouch.graph.nodes import Graph
from retouch.graph.plan import plan
from retouch.lang.diagnostics import Report
from retouch.models.rates import Pace
from retouch.plugins import registry
from retouch.plugins.registry import PluginError, Registry
from retouch.plugins.signatures import Fault
from retouch.run.collector import quiet_collector
from retouch.run.store.blobs import Store

if TYPE_CHECKING:
    from retouch.run.outcome import RunResult


def main(args: Namespace) -> int:
    """Run a recipe; nothing that takes long is loaded before all of it is known to be right."""
    check_machine(args)
    kept = store_given(args)
    source, images = one_given(args)
    installed = registry.load()
    found = checked(args, source, images, installed)
    if verdict(found) == WRONG_RECIPE:
        return WRONG_RECIPE
    there = nothing_done(found.graphs) if args.again else done(found.graphs, making(args, installed), found.refused)
    if not there.left:
        tell_done(there, as_data=args.json)
        return verdict(found)
    with quiet_collector():
        graphs = usable(source, there.left, installed, as_data=args.json)
    if not graphs:
        return FAILED
    tell_done(there, as_data=args.json)
    result = _execute(args, source, found, graphs, installed, kept)
    failed = [outcome for outcome in result.outcomes if outcome.failed]
    if not failed:
        return verdict(found) if len(graphs) == len(there.left) else SOME_FAILED
    some = there.files or len(failed) < len(result.outcomes) or any(outcome.files for outcome in failed)
    return SOME_FAILED if some else FAILED


def _execute(
    args: Namespace, source: Source, found: Checked, graphs: Sequence[Graph], installed: Registry, kept: Store | None
) -> RunResult:
    """Run what is left of a recipe that is right, here or by workers; say what becomes of it, and write it down."""
    from retouch.run.device import best_device
    from retouch.run.files.provenance import Request
    from retouch.run.files.run_journal import RunJournal
    from retouch.run.files.shared import SharedFiles
    from retouch.run.loaded.model_cache import KeptMachines
    from retouch.run.session import execute
    from retouch.run.settings import Settings
    from retouch.run.store.keeping import RunStore
    from retouch.run.whole import WholeRun

    device, dtype = args.device or best_device(), args.dtype or "float32"
    settings = Settings(device, dtype, args.exact, args.compile, vae_tiling=args.vae_tiling)
    text = source.text.decode("utf-8")
    request = Request.of(text, source.folder, graphs, settings_given(args), args.model, args.stamp, signing(args))
    journal = RunJournal(graphs, tell=(progress := (Lines if args.json else Sentences)(source, graphs)).tell)
    store = RunStore(kept, settings) if kept else None
    with progress, journal.going():
        pace = Pace()

        def tell(event: str, facts: Mapping[str, Any]) -> None:
            pace.heard(event, facts)
            progress.tell(event, facts)

        for picture in found.refused:
            progress.refused(picture, found.errors_of(picture))
            journal.refused(picture, found.errors_of(picture))
        if args.workers or args.ray:
            shared = SharedFiles(graphs, found.refused)
            whole = WholeRun(graphs, request, settings, installed.built_in, tell, shared, journal)
            result = run_by_workers(args, whole, store)
        else:
            result = execute(
                graphs,
                registry=installed,
                request=request,
                settings=settings,
                # What a process that runs one command after the other keeps loaded is not loaded again.
                machine=KeptMachines(),
                tell=tell,
                keep=False,
                refused=found.refused,
                journal=journal,
                store=store,
            )
            _keep_pace(pace, graphs, settings.device, settings.dtype)  # several at once are no measure of one
        for outcome in result.outcomes:
            progress.ended(outcome)
        progress.summary(result, store.taken if store else {})
    if journal.lost:
        warn_of_journal(journal.lost)
    return result


def tell_done(there: Done, *, as_data: bool) -> None:
    """Say which results are not made again."""
    if as_data:
        for path in dict.fromkeys(path for paths in there.files.values() for path in paths):
            put({"event": "kept", "path": str(path)})
        if not there.left:
            put({"event": "done", "rows": 0, "calls": 0, "store": {}})
    elif there.count:
        which = f"{there.count:,} of {there.results:,} results are" if there.count > 1 else "1 result is"
        which = f"all {there.results:,} results are" if there.count == there.results > 1 else which
        print(f"{which} there already; --again makes them anew")


def warn_of_journal(why: OSError) -> None:
    """Say that nothing was told of a run, whose results are there all the same."""
    told = f"the journal could not be written: {why.strerror or why}; what is there is known by what it says of itself"
    print(plain(told), file=sys.stderr)


def usable(source: Source, graphs: Sequence[Graph], found: Registry, *, as_data: bool) -> list[Graph]:
    """The graphs that can come to any result, since their stages can be imported; the others are told.

    It is done before a model loads, since a plugin that is broken is so for all that needs it.
    """
    wrong: dict[str, Fault] = {}
    for card in {node.card.name: node.card for graph in graphs for node in graph.everything()}.values():
        try:
            if card.module:  # others are the engine's own
                found.function(card)
        except PluginError as err:
            wrong[card.name] = err.fault
    report, left = Report(), list[Graph]()
    for graph in graphs:
        broken = {node.id: stage for node in graph.nodes for stage in node.everything() if stage.card.name in wrong}
        choice = any(node.card.family == "first" for node in graph.nodes)  # another way may do
        if not choice and all(any(n.id in broken for n in graph.only(id_).nodes) for id_ in graph.results):
            for node in broken.values():
                fault = wrong[node.card.name]
                facts: dict[str, Any] = {**fault.placed}
                report.add(fault.code, node.span, **facts)
        else:
            left.append(graph)
    if report.items and as_data:
        told = as_json(source, report.items)
        put({"event": "refused", "pictures": len(graphs) - len(left), "diagnostics": told})
    elif report.items:
        tell_all(source, report.items)
    return left


def _keep_pace(pace: Pace, graphs: Sequence[Graph], device: str, dtype: str) -> None:
    """Remember how fast it went, where it was one model at one size."""
    import torch

    models = {model.digest for graph in graphs for model in (graph.model, *graph.models.values())}
    sizes = {cells for graph in graphs for cells in row_cells_of(plan(graph)) or {None}}
    if len(models) == 1 and len(sizes) == 1 and (cells := sizes.pop()):
        pace.keep(models.pop(), device, dtype, cells, torch.get_num_threads())
