"""What must hold for every graph, whatever recipe it came from; tests run it on all they make."""

from __future__ import annotations

from retouch.graph.keys import identity
from retouch.graph.nodes import FromEngine, Graph, Node
from retouch.graph.ports import FRAME, PICTURE, SUPPLIED


def verify(graph: Graph) -> None:
    """Raise AssertionError where a graph is not sound."""
    seen: dict[str, Node] = {}
    for node in graph.nodes:
        assert node.id not in seen, f"two nodes are called {node.id}"
        for id_ in node.feeds():
            assert id_ in seen, f"{node.id} takes from {id_}, which does not come before it"
        if node.card.family == "first":
            ways = node.ways()
            assert len(ways) > 1, "a choice of one"
            kinds = {seen[way[0]].card.output for way in ways}
            assert kinds == {node.card.output}, "a choice between different things"
        else:
            _verify_ports(node, seen)
        expected = {option.name for option in node.card.options}
        assert node.options.keys() == expected, f"{node.id} has the options {sorted(node.options)}"
        assert node.options.keys() <= node.origin.keys(), f"{node.id} does not know where its options come from"
        for turn in node.turns():
            verify(turn)
        seen[node.id] = node
    assert len({identity(node) for node in graph.nodes}) == len(graph.nodes), "the same work stands twice"
    assert graph.results, "a graph without results"
    assert set(graph.results) <= seen.keys(), "a result that is not in the graph"
    fed = {id_ for node in graph.nodes for id_ in node.feeds()}
    assert seen.keys() == fed | set(graph.results), "work that nothing needs"


def _verify_ports(node: Node, seen: dict[str, Node]) -> None:
    assert node.inputs.keys() <= {port.name for port in node.card.ports}, f"{node.id} has inputs without a port"
    for port in node.card.ports:
        given = node.inputs.get(port.name)
        if given is None:
            assert port.optional, f"port '{port}' of {node.id} is not connected"
            continue
        assert isinstance(given, tuple) == port.many, f"port '{port}' takes one value or all, never either"
        wanted = {"SourceImage": {"Image"}, "SourceLatents": {"Latents"}, FRAME: PICTURE}.get(port.type, {port.type})
        for edge in given if isinstance(given, tuple) else (given,):
            if isinstance(edge, FromEngine):
                assert edge.type in SUPPLIED, f"the engine makes no {edge.type}"
                kind = edge.type
            else:
                kind = seen[edge.id].card.output
            assert kind in wanted, f"port '{port}' is given {kind}"
