"""`retouch plan`: the graph as it would run, with reasons and costs, and nothing run."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Sequence

from retouch.cli import WRONG_RECIPE
from retouch.cli.loading import checked, one_given, verdict
from retouch.cli.machine import check_machine
from retouch.cli.reporting import put
from retouch.graph.document import document
from retouch.graph.limits import limits
from retouch.graph.plan import Plan, calls, plan, total
from retouch.graph.show import as_text, order, rows_text
from retouch.plugins import registry


def main(args: Namespace) -> int:
    """Show the plan of each picture, and what all of them come to."""
    check_machine(args)
    source, images = one_given(args)
    found = checked(args, source, images, registry.load())
    if verdict(found) == WRONG_RECIPE:
        return WRONG_RECIPE
    plans = [plan(graph) for graph in found.graphs]
    if args.json:
        put(document(source.name, plans, limits()))
    else:
        print("\n".join([*map(as_text, plans), *_in_all(plans)]))
    return verdict(found)


def _in_all(plans: Sequence[Plan]) -> Iterator[str]:
    least, most = calls(plans)
    yield f"in all: {rows_text(total(plans))} rows of the denoiser, in {rows_text((least, most))} calls"
    for model in {each.graph.model.name: each.graph.model for each in plans}.values():
        at = f" at {model.revision}" if model.revision else ""
        yield f"model '{model.name}'{at}: {model.digest}, pictures up to {model.largest_side} pixels a side"
    yield order()
    yield "limits: " + ", ".join(f"{name.replace('_', ' ')} {limit:,}" for name, limit in limits().items())
