"""`retouch plan`: the graph as it would run, with reasons and costs, and nothing run."""

from __future__ import annotations

from argparse import Namespace

from retouch import registry
from retouch.commands import DONE, WRONG_RECIPE
from retouch.commands.graphs import checked
from retouch.commands.source import given
from retouch.commands.telling import put
from retouch.graph.plan import plan
from retouch.graph.show import as_data, as_text


def main(args: Namespace) -> int:
    """Show the plan of each picture."""
    source, images = given(args)
    graphs = checked(args, source, images, registry.load())
    if graphs is None:
        return WRONG_RECIPE
    for graph in graphs:
        planned = plan(graph)
        if args.json:
            put(as_data(planned))
        else:
            print(as_text(planned))
    return DONE
