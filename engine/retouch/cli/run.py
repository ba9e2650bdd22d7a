"""`retouch run`: check everything, then run all pictures together and say where the results lie."""

from __future__ import annotations

from argparse import Namespace

from retouch.cli import FAILED, SOME_FAILED, WRONG_RECIPE
from retouch.cli.loading import checked, one_given, settings_given, verdict
from retouch.cli.machine import check_machine
from retouch.cli.progress import Lines, Sentences
from retouch.plugins import registry


def main(args: Namespace) -> int:
    """Run a recipe; nothing that takes long is loaded before all of it is known to be right."""
    check_machine(args)
    source, images = one_given(args)
    installed = registry.load()
    found = checked(args, source, images, installed)
    if verdict(found) == WRONG_RECIPE:
        return WRONG_RECIPE
    graphs = found.graphs
    from retouch.run.device import best_device
    from retouch.run.files.provenance import Request
    from retouch.run.session import Settings, execute

    settings = Settings(args.device or best_device(), args.dtype or "float32", args.exact, args.compile)
    text = source.text.decode("utf-8")
    request = Request.of(text, source.folder, graphs, settings_given(args), args.model, args.stamp)
    with (Lines if args.json else Sentences)(source, graphs) as progress:
        for picture in found.refused:
            progress.refused(picture, found.errors_of(picture))
        result = execute(graphs, registry=installed, request=request, settings=settings, tell=progress.tell, keep=False)
        for outcome in result.outcomes:
            progress.ended(outcome)
        progress.summary(result)
    failed = [outcome for outcome in result.outcomes if outcome.failed]
    if not failed:
        return verdict(found)
    return SOME_FAILED if len(failed) < len(result.outcomes) or any(o.files for o in failed) else FAILED
