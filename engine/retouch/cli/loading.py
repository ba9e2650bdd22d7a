"""From the command line's arguments to graphs, or to everything that is wrong."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from retouch.check.check import Checked, check
from retouch.check.reading.environment import SOMETHING, Environment, named
from retouch.cli import DONE, SOME_FAILED, WRONG_RECIPE, WrongCommand, meant
from retouch.cli.reporting import as_json, put, tell, warn
from retouch.cli.signing import signer_of
from retouch.cli.source import Source
from retouch.graph.work import Making
from retouch.lang.diagnostics import Report
from retouch.lang.source import LIMIT_LENGTH
from retouch.plugins.registry import Registry
from retouch.run.store.blobs import Store
from retouch.run.store.place import store

_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".gif", ".bmp", ".heic", ".avif")


def read(path: str, limit: int = LIMIT_LENGTH) -> Source:
    """Return a recipe file, or standard input for '-'; of one that never ends, as much as shows that it is too long."""
    if path == "-":
        if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison]: Python's, where it was closed
            raise WrongCommand("standard input is closed; name a recipe, or write one with -e")
        return Source("stdin", sys.stdin.buffer.read(limit + 1), Path.cwd())
    try:
        with Path(path).open("rb") as file:
            return Source(path, file.read(limit + 1), Path(path).resolve().parent)
    except IsADirectoryError as err:
        raise WrongCommand(f"'{path}' is a folder; name a recipe in it") from err
    except FileNotFoundError as err:
        said = meant.recipe(path)
        raise WrongCommand(f"there is no recipe '{path}'{said and f'; {said}'}") from err
    except (OSError, ValueError) as err:
        raise WrongCommand(f"the recipe '{path}' cannot be read: {getattr(err, 'strerror', None) or err}") from err


def given(args: Namespace) -> tuple[list[Source], list[str]]:
    """The recipes, and the images named beside them.

    The first file is a recipe, unless -e writes one; so are '-' and files that end in .retouch.  The others are images.
    """
    recipes: list[str] = []
    images: list[str] = []
    for i, path in enumerate(args.paths):
        is_recipe = path == "-" or path.endswith(".retouch") or (i == 0 and args.text is None)
        (recipes if is_recipe else images).append(path)
    for path in recipes:
        if Path(path).suffix.lower() in _PICTURES:
            raise WrongCommand(f"'{path}' is a picture; name the recipe before it, or write one with -e")
    sources = [read(path) for path in recipes]
    if args.text is not None:
        sources.append(Source("-e", args.text.encode(), Path.cwd()))
    if not sources:
        raise WrongCommand("name a recipe, or write one with -e")
    return sources, images


def one_given(args: Namespace) -> tuple[Source, list[str]]:
    """The recipe, of which there is one, and the images."""
    sources, images = given(args)
    if len(sources) > 1:
        names = ", ".join(source.name for source in sources)
        raise WrongCommand(f"it takes one recipe, and these are {len(sources)}: {names}")
    return sources[0], images


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
        signed=signer_of(args).endings if args.sign else None,
    )


def settings_given(args: Namespace) -> dict[str, str]:
    """Return the settings of `--set` and `--seed`."""
    settings: dict[str, str] = {}
    for text in args.set:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise WrongCommand(f"--set takes NAME=VALUE, and this is '{text}'")
        _one_value(settings, name, value)
    if args.seed is not None:
        _one_value(settings, "seed", args.seed)
    return settings


def _one_value(settings: dict[str, str], name: str, value: str) -> None:
    """Set a name; of two values for it one would be lost in silence."""
    if settings.setdefault(name, value) != value:
        raise WrongCommand(f"'{name}' is set twice, to '{settings[name]}' and to '{value}'; one value holds for all")


def making(args: Namespace, installed: Registry) -> Making:
    """Return how the command line lets results be made, as far as that tells one from another."""
    return Making(
        args.dtype or "float32",
        args.exact,
        args.compile,
        args.stamp,
        installed.built_in,
        args.vae_tiling,
        args.sign or "",
    )


def store_given(args: Namespace) -> Store | None:
    """Return the store of what other runs made; None where the user wants none.  For a run it is made to fit first."""
    try:
        found = None if args.no_store else store()
    except ValueError as err:
        raise WrongCommand(str(err)) from err
    if found and args.command == "run":
        found.fit()
    return found


def checked(args: Namespace, source: Source, images: Sequence[str], registry: Registry) -> Checked:
    """What a recipe comes to, with everything told that is wrong."""
    report = Report()
    surroundings = world(args, source, images, registry, report)
    found = check(source.text, surroundings, report)
    if args.json:
        if found.diagnostics or args.command == "check":
            told = {"recipe": source.name, "ok": not found.errors, "diagnostics": as_json(source, found.diagnostics)}
            put(told | ({"refused": [str(picture.path) for picture in found.refused]} if found.refused else {}))
    else:
        warn(registry.faults)
        tell(source, found.diagnostics)
        if found.refused and found.graphs:
            count = len(found.graphs) + len(found.refused)
            print(f"{len(found.refused)} of {count} pictures cannot be edited; the others can", file=sys.stderr)
    return found


def verdict(found: Checked) -> int:
    """The exit code of a check: whether all can run, some pictures can, or nothing."""
    if not found.errors:
        return DONE
    return SOME_FAILED if found.graphs else WRONG_RECIPE
