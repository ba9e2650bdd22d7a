"""From the command line's arguments to graphs, or to everything that is wrong."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from retouch.check.check import check
from retouch.check.reading.environment import SOMETHING, Environment, named
from retouch.cli import WrongCommand
from retouch.cli.reporting import as_json, put, tell, warn
from retouch.cli.source import Source
from retouch.graph.nodes import Graph
from retouch.lang.diagnostics import Report
from retouch.lang.source import LIMIT_LENGTH
from retouch.plugins.registry import Registry


def read(path: str, limit: int = LIMIT_LENGTH) -> Source:
    """Return a recipe file, or standard input for '-'; of one that never ends, as much as shows that it is too long."""
    if path == "-":
        return Source("stdin", sys.stdin.buffer.read(limit + 1), Path.cwd())
    try:
        with Path(path).open("rb") as file:
            return Source(path, file.read(limit + 1), Path(path).resolve().parent)
    except IsADirectoryError as err:
        raise WrongCommand(f"'{path}' is a folder; name a recipe in it") from err
    except FileNotFoundError as err:
        raise WrongCommand(f"there is no recipe '{path}'") from err
    except (OSError, ValueError) as err:
        raise WrongCommand(f"the recipe '{path}' cannot be read: {err}") from err


def given(args: Namespace) -> tuple[Source, list[str]]:
    """Return the recipe, and the images named beside it."""
    if args.text is not None:
        return Source("-e", args.text.encode(), Path.cwd()), args.paths
    if not args.paths:
        raise WrongCommand("name a recipe, or write one with -e")
    return read(args.paths[0]), args.paths[1:]


def world(args: Namespace, source: Source, images: Sequence[str], registry: Registry, report: Report) -> Environment:
    """Return the environment of the recipe, with the images and settings of the command line."""
    pictures = tuple(named(path, index, args.caption, report) for index, path in enumerate(images))
    return Environment(
        registry=registry,
        folder=source.folder,
        pictures=pictures or ((SOMETHING,) if args.command != "run" else ()),
        settings=settings_given(args),
        model=args.model,
        caption=args.caption,
        output=args.output,
        allowed=tuple(args.allow),
        force=args.force,
    )


def settings_given(args: Namespace) -> dict[str, str]:
    """Return the settings of `--set` and `--seed`."""
    settings: dict[str, str] = {}
    for text in args.set:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise WrongCommand(f"--set takes NAME=VALUE, and this is '{text}'")
        settings[name] = value
    return settings | ({"seed": args.seed} if args.seed is not None else {})


def checked(args: Namespace, source: Source, images: Sequence[str], registry: Registry) -> tuple[Graph, ...] | None:
    """Return the graphs of a recipe; None, and all its errors told, if it has any."""
    report = Report()
    surroundings = world(args, source, images, registry, report)
    found = check(source.text, surroundings)
    diagnostics = [*report.items, *found.diagnostics]
    failed = bool(report.errors() or found.errors)
    if args.json:
        if diagnostics:
            put({"recipe": source.name, "ok": not failed, "diagnostics": as_json(source, diagnostics)})
    else:
        warn(registry.faults)
        tell(source, diagnostics)
    return None if failed else found.graphs
