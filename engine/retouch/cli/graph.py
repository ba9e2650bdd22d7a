"""`retouch graph`: what a recipe comes to, as a picture."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

from retouch.cli import DONE, WRONG_RECIPE, WrongCommand
from retouch.cli.loading import checked, read
from retouch.cli.reporting import put
from retouch.cli.source import Source
from retouch.graph.drawing import FORMATS, chart
from retouch.graph.nodes import Graph
from retouch.plugins import registry


def main(args: Namespace) -> int:
    """Draw all recipes as one chart; what they share is one box."""
    sources, images = _given(args)
    installed, graphs = registry.load(), list[Graph]()
    wrong = False
    for source in sources:
        found = checked(args, source, images, installed)
        wrong |= found is None
        graphs += found or ()
    if wrong:
        return WRONG_RECIPE
    text = FORMATS[args.format](chart(graphs))
    if args.picture:
        _write(args.picture, text)
    elif args.json:
        put({"format": args.format, "text": text})
    else:
        sys.stdout.write(text)
    return DONE


def _given(args: Namespace) -> tuple[list[Source], list[str]]:
    """Files that end in .retouch, '-', and the first file in any case are recipes; the others are images."""
    paths: list[str] = args.paths
    recipes = [p for i, p in enumerate(paths) if p == "-" or p.endswith(".retouch") or (i == 0 and args.text is None)]
    sources = [read(path) for path in recipes]
    if args.text is not None:
        sources.append(Source("-e", args.text.encode(), Path.cwd()))
    if not sources:
        raise WrongCommand("name a recipe, or write one with -e")
    return sources, [path for path in paths if path not in recipes]


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as err:
        raise WrongCommand(f"'{path}' cannot be written: {err.strerror}") from err
