"""Files that results go to: each its own, none that would be missed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from retouch.graph.nodes import Graph, Node
from retouch.graph.world import World
from retouch.lang.diagnostics import Report
from retouch.lang.syntax import NOWHERE, Span


def check_results(graphs: Iterable[Graph], places: Mapping[str, Span], world: World, report: Report) -> None:
    """Two results must not go to one file, nor any over a source, or over a file that retouch did not make."""
    nodes = [node for graph in graphs for node in graph.nodes]
    sources = {_path(node) for node in nodes if node.card.takes("Pictures")}
    writers: defaultdict[str, list[Node]] = defaultdict(list)
    for node in nodes:
        if node.card.takes("Outbox") and (path := _path(node)):
            writers[path].append(node)
    for path, same in writers.items():
        span, file = places.get(path, NOWHERE), Path(path)
        if len(same) > 1:
            report.add("RT405", span, count=len(same), mend=_apart(file, same))
        elif path in sources:
            report.add("RT407", span, path=file.name)
        elif file.is_file() and not world.force and not world.made_here(file):
            report.add("RT415", span, path=file.name)


def _path(node: Node) -> str:
    return node.options.get("path") or ""


def _apart(file: Path, nodes: Iterable[Node]) -> str:
    """How to give each result a file: by the picture's name if one stage writes for many pictures."""
    one_stage = len({node.span for node in nodes}) == 1
    return f'write "{file.stem}-{{name}}{file.suffix}"' if one_stage else "give each its own file, or a folder with -o"
