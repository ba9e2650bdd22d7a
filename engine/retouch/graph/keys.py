"""What makes two nodes the same work: the stage, its version, its options, and what it is given."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from retouch.graph.nodes import GIVEN, Edge, FromEngine, FromNode, Graph, Node
from retouch.graph.ports import EYES, FILES, MADE_OR_SUPPLIED


def identity(node: Node) -> str:
    """Return a text that is equal for equal work on nodes of one graph."""
    return _described(node, lambda edge: edge.id)


def node_keys(graph: Graph) -> Mapping[str, str]:
    """Return the content key of each node: a digest of all that its value depends on, the same in every graph."""
    keys: dict[str, str] = {}
    for node in graph.nodes:
        text = _described(node, lambda edge: keys[edge.id])
        keys[node.id] = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()  # of paths, their bytes
    return keys


def turn_key(turn: Graph) -> str:
    """Return the content key of a flow as a value: of all that it makes of what it is given."""
    keys = node_keys(turn)
    return hashlib.sha256("\n".join(keys[id_] for id_ in turn.results).encode()).hexdigest()


def of_no_picture(graph: Graph) -> Mapping[str, str]:
    """Return the keys of the nodes that are done once, however many pictures there are.

    They make what the engine would supply, a schedule or a tuned model, or an eye, and depend on no picture.  Other
    values may be behaviour that remembers its walk, such as guidance, and each picture has its own.
    """
    keys, own = node_keys(graph), set[str]()
    for node in graph.nodes:
        takes = any(edge.type in FILES for _, edge in node.edges() if isinstance(edge, FromEngine))
        takes |= node.card.family == GIVEN
        if node.card.output not in MADE_OR_SUPPLIED | EYES or takes or any(id_ in own for id_ in node.feeds()):
            own.add(node.id)
    return {id_: key for id_, key in keys.items() if id_ not in own}


def done_once(graph: Graph) -> Iterator[tuple[Graph, Node]]:
    """Those of them that cost rows, such as a tuning, each with its flow: every worker of a run does them for itself.

    graph: the recipe's; those of its flows in brackets are there, too.
    """
    once = of_no_picture(graph)
    for node in graph.nodes:
        if node.id in once and node.card.rows:
            yield graph, node
        for turn in node.turns():
            yield from done_once(turn)


def _described(node: Node, maker: Callable[[FromNode], str]) -> str:
    def edge(given: Edge) -> Any:
        if isinstance(given, FromNode):
            return maker(given)
        sized_by = [maker(given.sized_by)] if given.sized_by else []
        settings = dict(given.settings)
        # Where weights lie counts for nothing: `files` tells what is in them.
        settings.pop("folder", None)
        if "files" in settings:  # of networks beside the model: what is in them counts, not where they lie
            settings["files"] = [[name, digest] for name, _, digest in settings["files"]]
        if "learnt" in settings:  # of pictures to learn from, likewise
            settings["learnt"] = [digest for _, digest in settings["learnt"]]
        return [given.type, settings, *sized_by]

    card = node.card
    inputs = {
        port: [edge(each) for each in given] if isinstance(given, tuple) else edge(given)
        for port, given in node.inputs.items()
    }
    stage = [card.plugin, card.family, card.method, card.version]
    return json.dumps([stage, dict(node.options), inputs], sort_keys=True, ensure_ascii=False, default=str)
