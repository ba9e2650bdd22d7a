"""`retouch bench`: measure with a benchmark that a plugin brings.

A plugin announces one through the entry-point group `retouch.benches`, whose value is a function that takes the rest of
the command line and returns the exit code.  Only the one that is asked for is imported.
"""

from __future__ import annotations

from argparse import Namespace
from importlib.metadata import entry_points

from retouch.cli import DONE, WrongCommand
from retouch.cli.reporting import put

GROUP = "retouch.benches"


def main(args: Namespace) -> int:
    """Run the benchmark that is named, or list those that are installed."""
    installed = {entry.name: entry for entry in entry_points(group=GROUP)}
    if not args.words:
        names = sorted(installed)
        put(names) if args.json else print("\n".join(names))
        return DONE
    name, *rest = args.words
    if name not in installed:
        raise WrongCommand(f"no benchmark is called '{name}'; there are: {', '.join(sorted(installed)) or 'none'}")
    return installed[name].load()(rest)
