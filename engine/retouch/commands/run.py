"""`retouch run`: check everything, then run all pictures together and say where the results lie."""

from __future__ import annotations

from argparse import Namespace

from retouch import registry
from retouch.commands import DONE, FAILED, SOME_FAILED, WRONG_RECIPE
from retouch.commands.graphs import checked
from retouch.commands.progress import Lines, Screen
from retouch.commands.source import given, settings_given


def main(args: Namespace) -> int:
    """Run a recipe; nothing that takes long is loaded before all of it is known to be right."""
    source, images = given(args)
    installed = registry.load()
    graphs = checked(args, source, images, installed)
    if graphs is None:
        return WRONG_RECIPE
    from retouch.run.provenance import Request
    from retouch.run.session import Settings, execute

    settings = Settings(args.device or best_device(), args.dtype or "float32", args.exact)
    text = source.text.decode("utf-8")
    request = Request.of(text, source.folder, graphs, settings_given(args), args.model, args.stamp)
    with (Lines if args.json or not Screen.fits() else Screen)(source, graphs) as progress:
        result = execute(graphs, registry=installed, request=request, settings=settings, tell=progress.tell, keep=False)
        for outcome in result.outcomes:
            progress.ended(outcome)
        progress.summary(result)
    failed = [outcome for outcome in result.outcomes if outcome.failed]
    if not failed:
        return DONE
    return SOME_FAILED if len(failed) < len(result.outcomes) or any(o.files for o in failed) else FAILED


def best_device() -> str:
    """The fastest device there is."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
