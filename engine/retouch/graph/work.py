"""What a value is made of, as a digest that holds anywhere: files and models by what is in them, not by where they lie.

The same digest is the same work, in another run, another recipe or another folder.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from retouch.graph.inputs import digest
from retouch.graph.nodes import Edge, FromEngine, FromNode, Graph, Node, NodeId
from retouch.graph.ports import READERS, WRITERS

_FORM = 1  # of what is digested; another makes all results anew


@dataclass(frozen=True, slots=True)
class Works:
    """Digests of the work behind nodes.

    built_in: plugins whose stages' versions tell what they do; of others, whose authors may still be writing, the code
        is digested.
    """

    built_in: Collection[str] = ()
    file: Callable[[Path], str] = digest

    def of(self, graph: Graph) -> dict[NodeId, str]:
        """The digest of each node of a graph: of its stage and options, and of all that feeds it."""
        found: dict[NodeId, str] = {}
        for node in graph.nodes:
            found[node.id] = self.one(node, graph, found)
        return found

    def one(self, node: Node, graph: Graph, found: Mapping[NodeId, str]) -> str:
        """The digest of one node, by those of the nodes that feed it."""
        card = node.card
        inputs = {
            port: [self._edge(each, graph, found) for each in given]
            if isinstance(given, tuple)
            else self._edge(given, graph, found)
            for port, given in node.inputs.items()
        }
        stage = [card.plugin, card.family, card.method, card.version]
        code = code_at(card.file) if card.module and card.plugin not in self.built_in else ""
        return sha256([_FORM, stage, code, self._options(node), inputs])

    def _options(self, node: Node) -> dict[str, Any]:
        """Options, the file that one names by what is in it, and a result by its ending alone."""
        options, path = dict(node.options), node.options.get("path")
        if isinstance(path, str) and path and node.card.takes(*READERS):
            options["path"] = self.file(Path(path))
        elif isinstance(path, str) and path and node.card.takes(*WRITERS):
            options["path"] = Path(path).suffix.lower()
        if any("learnt" in edge.settings for _, edge in node.edges() if isinstance(edge, FromEngine)):
            del options["pictures"]
        return options

    def _edge(self, edge: Edge, graph: Graph, found: Mapping[NodeId, str]) -> Any:
        if isinstance(edge, FromNode):
            return found[edge.id]
        told = {name: value for name, value in edge.settings.items() if name not in ("folder", "turn")}
        if "model" in told:
            named = graph.models.get(told["model"], graph.model)
            told["model"] = getattr(named, "digest", told["model"])
        if "files" in told:
            told["files"] = [[name, of_file] for name, _, of_file in told["files"]]
        if "learnt" in told:
            told["learnt"] = [self.file(Path(path)) for path, _ in told["learnt"]]
        if "path" in told:  # of a file that many results share
            told["path"] = Path(told["path"]).suffix.lower()
        sized_by = found[edge.sized_by.id] if edge.sized_by else ""
        inner = self.of(edge.turn) if edge.turn else {}
        return [edge.type, told, sized_by, [inner[id_] for id_ in edge.turn.results] if edge.turn else []]


def sha256(told: Any) -> str:
    """The digest of data as JSON."""
    text = json.dumps(told, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()  # of names, their bytes


@dataclass(frozen=True, slots=True)
class Making:
    """What a run adds to the work of its results, as far as it decides what is in the files.

    The device and the versions of libraries decide last bits alone, and do not count: a folder that was begun on one
    machine is gone on with on another.
    """

    dtype: str = "float32"
    exact: bool = False
    compiled: bool = False
    stamp: str = "full"
    built_in: Collection[str] = field(default_factory=frozenset[str])
    vae_tiling: str = "auto"
    signer: str = ""  # by whose name results are signed; whose certificate it is makes no other result

    def works(self, graph: Graph) -> dict[NodeId, str]:
        """The digest of each result of a graph that is a file."""
        of = Works(self.built_in).of(graph)
        return {id_: self.result(of[id_]) for id_ in graph.results}

    def result(self, work: str) -> str:
        """The digest of a result, by that of its node."""
        signer = [self.signer] if self.signer else []
        return sha256([work, self.dtype, self.exact, self.compiled, self.stamp, self.vae_tiling, *signer])


def code_at(file: str) -> str:
    """The digest of the whole package that a file of Python belongs to, or of a lone module."""
    top = Path(file)
    while (top.parent / "__init__.py").is_file():
        top = top.parent
    return _code(str(top))


@cache
def _code(place: str) -> str:
    top = Path(place)
    files = sorted(top.rglob("*.py")) if top.is_dir() else [top]
    return sha256([[file.relative_to(top.parent).as_posix(), digest(file)] for file in files])
