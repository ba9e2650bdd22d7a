"""From the command line to graphs, or to everything that is wrong."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence

from retouch.commands.source import Source, world
from retouch.commands.telling import as_json, put, tell, warn
from retouch.graph.elaborate import check
from retouch.graph.nodes import Graph
from retouch.lang.diagnostics import Report
from retouch.registry import Registry


def checked(args: Namespace, source: Source, images: Sequence[str], registry: Registry) -> tuple[Graph, ...] | None:
    """The graphs of a recipe; None, and all its errors told, if it has any."""
    report = Report()
    surroundings = world(args, source, images, registry, report)
    found = check(source.text, surroundings)
    diagnostics = [*report.items, *found.diagnostics]
    failed = bool(report.errors() or found.errors)
    if args.json:
        if diagnostics:
            put({"recipe": source.name, "ok": not failed, "diagnostics": as_json(source, diagnostics)})
    else:
        warn(registry.faults)
        tell(source, diagnostics)
    return None if failed else found.graphs
