"""What a result says of how it was made: enough to make it again, and no path of the machine it was made on."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import torch

from retouch.graph.nodes import FromEngine, Graph, Node
from retouch.plugins import discovery
from retouch.version import __version__


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for: the recipe's text, and what the command line said beside it.

    folder: where relative paths of the recipe start.
    settings: as of `--set` and `--seed`.  model: as of `--model`.
    """

    recipe: str = ""
    folder: Path | None = None
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Provenance:
    """The stamp of each result of one picture; `how` is what the run adds: device, dtype and mode."""

    graph: Graph
    request: Request
    how: Mapping[str, str]

    def __call__(self, path: str) -> dict[str, str]:
        """What the file at this path says of itself.  Paths in it are relative to the file's own folder."""
        request, here = self.request, Path(path).resolve().parent
        result = next((node.id for node in self.graph.nodes if _writes(node, path)), "")
        graph = self.graph.only(result) if result else self.graph
        item = graph.item
        return {
            **software(),
            **self.how,
            "recipe": request.recipe,
            "folder": _relative(request.folder, here) if request.folder else "",
            "settings": json.dumps(dict(request.settings)),
            "source": item.path.name if item else "",
            "source_path": _relative(item.path, here) if item else "",
            "source_from": _source_from(graph),
            "caption": (item.caption or "") if item else "",
            "inputs": json.dumps({_relative(file, here): digest(file) for file in _inputs(graph)}),
            "model": graph.model.name,
            "model_option": request.model or "",
            "model_digest": graph.model.digest,
            "model_revision": graph.model.revision or "",
            "plugins": json.dumps(versions(node.card.plugin for node in graph.nodes)),
            "stages": json.dumps(list(map(_stage, graph.nodes)), default=str),
            "result": result,
            "seed": next(_seeds(graph), ""),
        }


def software() -> dict[str, str]:
    """The versions that decide the last bits of a result."""
    return {
        "retouch": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
    }


def versions(names: Iterable[str]) -> dict[str, str]:
    """The distribution and version of each plugin, by the plugin's name."""
    known = _installed()
    return {name: known.get(name, "") for name in dict.fromkeys(names)}


@cache
def _installed() -> dict[str, str]:
    return {found.name: f"{found.distribution} {found.version}".strip() for found in discovery.installed()}


def digest(file: Path) -> str:
    """The sha256 of a file's bytes; empty if it is gone."""
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ""


def _relative(path: Path, start: Path) -> str:
    try:
        return Path(os.path.relpath(path.resolve(), start)).as_posix()
    except ValueError:  # another drive
        return path.name


def _source_from(graph: Graph) -> str:
    """Who named the picture: the recipe, or the command line."""
    opened = [node.origin.get("path", "") for node in graph.nodes if node.card.family == "open"]
    return "command line" if "command line" in opened else "recipe"


def _inputs(graph: Graph) -> list[Path]:
    paths = [node.options.get("path") for node in graph.nodes if node.card.takes("Pictures")]
    return [Path(path) for path in dict.fromkeys(paths) if path]


def _stage(node: Node) -> dict[str, object]:
    """A stage with its options; of files only the names, since the rest is the machine's."""
    named = {name: Path(value).name if name == "path" and value else value for name, value in node.options.items()}
    return {"id": node.id, "stage": node.card.name, "version": node.card.version, "options": named}


def _writes(node: Node, path: str) -> bool:
    return node.card.takes("Outbox") and node.options.get("path") == path


def _seeds(graph: Graph) -> Iterator[str]:
    """The seed of each noise that is drawn; they are the same."""
    for node in graph.nodes:
        for _, edge in node.edges():
            if isinstance(edge, FromEngine) and "seed" in edge.settings:
                yield str(edge.settings["seed"])
