"""Plugins that lie in the working directory and are not installed, as `retouch new-plugin` writes them."""

from __future__ import annotations

import os
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

from retouch.paths import content
from retouch.plugins.discovery import GROUP
from retouch.plugins.signatures.reading import read_module

_MOST = 200  # folders, and files of one, that are looked into for a name that nobody knows


def how_to_install(family: str, method: str = "") -> str:
    """What to type for a stage of this name that a folder here has; empty if none has.  method: any, where empty."""
    for folder in (Path(), *_folders()):
        for name, module in _announced(folder):
            for card in _cards(folder, name, module):
                if card == (family, method) or (not method and card[0] == family):
                    return f"it lies in '{folder if folder.name else '.'}' and is not installed: {_typed(folder)}"
    return ""


def _typed(folder: Path) -> str:
    return f"pip install -e {shlex.quote(str(folder) if folder.name else '.')}"


def _folders() -> list[Path]:
    try:
        with os.scandir() as found:
            names = sorted(each.name for each in found if each.is_dir() and not each.name.startswith("."))
    except OSError:
        return []
    return [Path(name) for name in names[:_MOST]]


def _announced(folder: Path) -> Iterator[tuple[str, str]]:
    """Name and module of each plugin that a project announces."""
    try:
        project = tomllib.loads(content(folder / "pyproject.toml").decode("utf-8"))["project"]
        yield from ((str(name), str(module)) for name, module in project["entry-points"][GROUP].items())
    except (OSError, ValueError, LookupError, TypeError, AttributeError):  # none, or none of ours
        return


def _cards(folder: Path, plugin: str, module: str) -> Iterator[tuple[str, str]]:
    """Family and method of each stage of a plugin, as far as it can be read."""
    top = module.partition(":")[0].partition(".")[0]
    for root in (folder, folder / "src"):
        for file in [root / f"{top}.py", *sorted((root / top).rglob("*.py"))[:_MOST]]:
            try:
                cards, _ = read_module(file, top, plugin)
            except Exception:  # whatever a file holds that is being written
                continue
            yield from ((card.family, card.method) for card in cards)
