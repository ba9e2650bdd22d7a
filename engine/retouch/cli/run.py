"""`retouch run`: check everything, then run all pictures together and say where the results lie."""

from __future__ import annotations

from argparse import Namespace

from retouch.cli import DONE, FAILED, SOME_FAILED, WRONG_RECIPE, WrongCommand
from retouch.cli.loading import checked, given, settings_given
from retouch.cli.progress import Lines, Screen
from retouch.plugins import registry


def main(args: Namespace) -> int:
    """Run a recipe; nothing that takes long is loaded before all of it is known to be right."""
    _check_compile(args)
    source, images = given(args)
    installed = registry.load()
    graphs = checked(args, source, images, installed)
    if graphs is None:
        return WRONG_RECIPE
    from retouch.run.device import best_device
    from retouch.run.files.provenance import Request
    from retouch.run.session import Settings, execute

    settings = Settings(args.device or best_device(), args.dtype or "float32", args.exact, args.compile)
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


def _check_compile(args: Namespace) -> None:
    if not args.compile:
        return
    device = args.device
    if not device:
        from retouch.run.device import best_device

        device = best_device()
    if not device.startswith("cuda"):
        raise WrongCommand(f"--compile is for cuda, and this would run on {device}; leave it out")
