"""`retouch graph`: what a recipe comes to, as a picture."""

from __future__ import annotations

import sys
from argparse import Namespace

from retouch.cli import WRONG_RECIPE
from retouch.cli.loading import checked, given, verdict
from retouch.cli.machine import check_machine
from retouch.cli.reporting import keep, put
from retouch.graph.drawing import FORMATS, chart
from retouch.plugins import registry


def main(args: Namespace) -> int:
    """Draw all recipes as one chart; what they share is one box."""
    check_machine(args)
    sources, images = given(args)
    installed = registry.load()
    found = [checked(args, source, images, installed) for source in sources]
    verdicts = [verdict(each) for each in found]
    if WRONG_RECIPE in verdicts:
        return WRONG_RECIPE
    text = FORMATS[args.format](chart([graph for each in found for graph in each.graphs]))
    if args.picture:
        keep(args.picture, text)
    elif args.json:
        put({"format": args.format, "text": text})
    else:
        sys.stdout.write(text)
    return max(verdicts)
