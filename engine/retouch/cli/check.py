"""`retouch check`: everything that is wrong, before anything runs."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from retouch.check.check import check
from retouch.check.reading.environment import Environment
from retouch.cli import DONE, WRONG_RECIPE, WrongCommand
from retouch.cli.loading import read
from retouch.cli.reporting import as_json, put, tell, warn
from retouch.cli.source import Source
from retouch.plugins import registry


def main(args: Namespace) -> int:
    """Check each recipe; exit 1 if any has an error."""
    sources = [read(path) for path in args.paths]
    if args.text is not None:
        sources.append(Source("-e", args.text.encode(), Path.cwd()))
    if not sources:
        raise WrongCommand("name a recipe, or write one with -e")
    installed = registry.load()
    if not args.json:
        warn(installed.faults)
    failed = False
    for source in sources:
        checked = check(source.text, Environment(installed, source.folder))
        failed |= bool(checked.errors)
        if args.json:
            found = as_json(source, checked.diagnostics)
            put({"recipe": source.name, "ok": not checked.errors, "diagnostics": found})
        else:
            tell(source, checked.diagnostics)
    return WRONG_RECIPE if failed else DONE
