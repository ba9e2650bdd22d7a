"""`retouch plan`: the graph as it would run, with reasons and costs, and nothing run."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Iterator, Sequence
from typing import Any

from retouch.cli import WRONG_RECIPE
from retouch.cli.loading import checked, making, one_given, store_given, verdict
from retouch.cli.machine import check_machine
from retouch.cli.reporting import put, sized
from retouch.graph.cells import cells_of
from retouch.graph.document import document
from retouch.graph.done import done
from retouch.graph.estimate import Estimate, estimates
from retouch.graph.keys import done_once
from retouch.graph.limits import limits
from retouch.graph.plan import Plan, calls, plan, total
from retouch.graph.show import as_text, order, rows_text
from retouch.plugins import registry
from retouch.run.store.keys import count_in
from retouch.run.store.told import how_many
from retouch.run.waves import kept_by, waves_of


def main(args: Namespace) -> int:
    """Show the plan of each picture, and what all of them come to."""
    check_machine(args)
    store = store_given(args)
    source, images = one_given(args)
    installed = registry.load()
    found = checked(args, source, images, installed)
    if verdict(found) == WRONG_RECIPE:
        return WRONG_RECIPE
    plans = [plan(graph) for graph in found.graphs]
    needs = estimates(plans, args.dtype or "float32", exact=args.exact, vae_tiling=args.vae_tiling)
    waves = _waves(plans)
    there = done(found.graphs, making(args, installed), found.refused)
    kept = count_in(store, there.left, making(args, installed))
    if args.json:
        whole: dict[str, Any] = {"results": there.results, "there": there.count, "waves": waves, "store": kept}
        if args.workers:
            peak_ = peak(needs, args.workers)
            whole["workers"] = {"count": args.workers, "peak": peak_, "anew": _anew(plans, args.workers)}
        put({**document(source.name, plans, limits(), needs), **whole})
    else:
        said = [
            *map(as_text, plans),
            *_in_all(plans, needs),
            *_of_waves(waves),
            *_by_workers(plans, needs, args.workers),
        ]
        print("\n".join(said))
        if there.count:
            print(f"there already, and made only with --again: {there.count:,} of {there.results:,} results")
        if kept:
            print(f"in the store, so that no rows are paid for them: {how_many(kept)}; --no-store makes them anew")
    return verdict(found)


def _waves(plans: Sequence[Plan]) -> dict[str, int]:
    """How many waves there are, how many pictures the largest has, and bytes that its pictures keep meanwhile."""
    waves, kept = waves_of([each.graph for each in plans]), list[int]()
    for each in plans:
        height, width = cells_of(each) or (0, 0)
        kept.append(kept_by(each.graph, height * width * getattr(each.graph.model, "channels", 0)))
    keeps = [sum(kept[place] for place in wave) for wave in waves]
    return {"count": len(waves), "pictures": max(map(len, waves), default=0), "bytes": max(keeps, default=0)}


def _of_waves(waves: dict[str, int]) -> Iterator[str]:
    if waves["bytes"]:
        of = f"{waves['count']:,} of at most {waves['pictures']} pictures" if waves["count"] > 1 else "1"
        yield f"waves: {of}; the pictures of one keep {sized(waves['bytes'])} beside that, less where it does not fit"


def _in_all(plans: Sequence[Plan], needs: Sequence[Estimate]) -> Iterator[str]:
    least, most = calls(plans)
    yield f"in all: {rows_text(total(plans))} rows of the denoiser, in {rows_text((least, most))} calls"
    for model in {each.graph.model.name: each.graph.model for each in plans}.values():
        at = f" at {model.revision}" if model.revision else ""
        yield f"model '{model.name}'{at}: {model.digest}, pictures up to {model.largest_side} pixels a side"
    for each in needs:
        yield from _estimated(each)
    yield order()
    yield "limits: " + ", ".join(f"{name.replace('_', ' ')} {limit:,}" for name, limit in limits().items())


def _estimated(each: Estimate) -> Iterator[str]:
    parts = ", ".join(f"{part} {sized(count)}" for part, count in each.weights.items())
    if each.row is None or each.picture is None or each.peak is None:
        yield f"memory in {each.dtype}: {parts}; what a pass needs besides was not measured for this family"
    else:
        work = f"{sized(each.row)} a row, {sized(each.picture)} a picture in the codec"
        at_once = f"{each.rows} and {each.pictures} at once, {sized(each.process)} of libraries"
        yield f"memory in {each.dtype}: {parts}; {work}, {at_once}; {sized(each.peak)} at most"
    if each.tuned:
        yield f"tuning: back through {each.learnt} rows of the denoiser, {each.tuned} at once, which is counted"
    if each.looked:
        through = f"{each.guided} rows of the denoiser and " if each.guided else ""
        yield f"gradient: back through {through}{each.looked} decoded pictures, which is counted"
    if each.glances:
        yield f"eyes: {each.glances} pictures looked at, about as long as {each.as_rows:.3g} rows"
    if each.rate is None or each.seconds is None:
        yield "time: not measured yet on this machine at this size; a run measures it"
        return
    least, most = (round(seconds, 1 if seconds < 10 else None) for seconds in each.seconds)
    span = f"{least:g} s" if least == most else f"{least:g} to {most:g} s"
    with_ = f"{each.rate.device}, {each.rate.dtype}, {each.rate.threads} threads"
    yield f"time: {span} for the denoiser, at {each.rate.rows_per_second:.3g} rows a second as measured here ({with_})"


def _by_workers(plans: Sequence[Plan], needs: Sequence[Estimate], count: int | None) -> Iterator[str]:
    """What several workers take, each with models of its own; and whether that is there, where the system tells."""
    if not count:
        return
    for stage, rows in _anew(plans, count).items():
        yield f"'{stage}' is done by each worker for itself, and is counted once: {rows:,} rows more for each but one"
    if (most := peak(needs, count)) is None:
        yield f"workers: {count}, each with the models and the work of one process"
        return
    room = _room()
    short = f"; this machine has {sized(room)}, so take fewer" if room and room < most else ""
    yield f"workers: {count}, each with models of its own; {sized(most)} at most in all{short}"


def _anew(plans: Sequence[Plan], workers: int) -> dict[str, int]:
    """Rows at most of each stage that is done once for all pictures, and that several workers do each."""
    if min(workers, len(plans)) < 2:
        return {}
    return {node.card.name: int(plan(graph).rows[node.id][1]) for graph, node in done_once(plans[0].graph)}


def peak(needs: Sequence[Estimate], workers: int) -> int | None:
    """Bytes at most of so many workers, all models loaded in each; None where one was not measured."""
    peaks = [each.peak for each in needs]
    known = [each for each in peaks if each is not None]
    if not known or len(known) < len(peaks):
        return None
    libraries = sum(each.process for each in needs) - max(each.process for each in needs)  # once in a process
    return workers * (sum(known) - libraries)


def _room() -> int:
    """Bytes of memory of this machine; 0 where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0
