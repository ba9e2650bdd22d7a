"""`retouch check`: everything that is wrong, before anything runs."""

from __future__ import annotations

from argparse import Namespace

from retouch.cli.loading import checked, given, verdict
from retouch.cli.machine import check_machine
from retouch.plugins import registry


def main(args: Namespace) -> int:
    """Check each recipe as `run` would; the exit code is the worst."""
    check_machine(args)
    sources, images = given(args)
    installed = registry.load()
    verdicts = [verdict(checked(args, source, images, installed)) for source in sources]
    return min(filter(None, verdicts), default=0)
