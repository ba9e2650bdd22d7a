"""Which results of a run are there already, as it would make them, and what of its graphs is left to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from retouch.graph.nodes import Graph, NodeId
from retouch.graph.places import Beside, SharedPlace, shared_places
from retouch.graph.work import Making, sha256
from retouch.pictures.credentials import holds_credentials
from retouch.pictures.standing import standing


@dataclass(frozen=True, slots=True)
class Done:
    """What is there, and what is left.

    files: by picture, in the order of the graphs, the results that are there.
    left: the graphs of the others, without what is there; a picture that wants nothing more has none.
    at: of each of these, which of the graphs it is of.
    """

    files: Mapping[int, Sequence[Path]] = field(default_factory=dict[int, Sequence[Path]])
    left: tuple[Graph, ...] = ()
    at: tuple[int, ...] = ()
    results: int = 0  # of all

    @property
    def count(self) -> int:
        """How many results are there."""
        return len({path for paths in self.files.values() for path in paths})


def done(graphs: Sequence[Graph], how: Making, refused: Beside | None = None) -> Done:
    """Look at what stands where results are to go: it counts if it was made of the same, and nothing changed it since.

    Of a file that many results share, all have to be in it; else each of them is made again.
    """
    places = shared_places(graphs, refused or {})
    shared = {path: _is_done(Path(path), shared_work(found, graphs, how), how) for path, found in places.items()}
    into = {(place.graph, place.node): path for path, found in places.items() for place in found}
    files: dict[int, list[Path]] = {}
    left: dict[int, Graph] = {}
    wanted: set[str] = set()
    for at, graph in enumerate(graphs):
        works = how.works(graph)
        missing: list[NodeId] = []
        for id_ in graph.results:
            node = graph.node(id_)
            path = into.get((at, id_)) or (str(node.options.get("path") or "") if node.card.takes("Outbox") else "")
            # Results that share a file are one.
            wanted |= {path or f"{at} {id_}"}
            if path and (shared[path] if (at, id_) in into else _is_done(Path(path), works[id_], how)):
                files.setdefault(at, []).append(Path(path))
            else:
                missing.append(id_)
        if missing:
            left[at] = without(graph, missing)
    return Done(files, tuple(left.values()), tuple(left), len(wanted))


def nothing_done(graphs: Sequence[Graph]) -> Done:
    """All is left, whatever is there."""
    return Done(left=tuple(graphs), at=tuple(range(len(graphs))))


def shared_work(places: Sequence[SharedPlace], graphs: Sequence[Graph], how: Making) -> str:
    """The digest of a shared file with all that is to come into it."""
    of: dict[int, Mapping[NodeId, str]] = {}
    for place in places:
        if place.graph >= 0 and place.graph not in of:
            of[place.graph] = how.works(graphs[place.graph])
    return work_of([(place.axes, of[place.graph][place.node] if place.node else "") for place in places])


def work_of(cells: Sequence[tuple[object, str]]) -> str:
    """The digest of a shared file, by the place and the work of each result; "" of one that did not come."""
    return sha256(list(cells))


def without(graph: Graph, results: Sequence[NodeId]) -> Graph:
    """The part of a graph that these results need."""
    if len(results) == len(graph.results):
        return graph
    wanted = set(results)
    for node in reversed(graph.nodes):
        if node.id in wanted:
            wanted.update(node.feeds())
    return replace(graph, nodes=tuple(node for node in graph.nodes if node.id in wanted), results=tuple(results))


def _is_done(path: Path, work: str, how: Making) -> bool:
    """One that was to be signed has to be: programs that change no pixel take credentials away."""
    found = standing(path)
    return found.kind == "own" and found.work == work and (not how.signer or holds_credentials(path))
