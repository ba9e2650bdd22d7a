"""What a value depends on to its last bit, as the key that it is kept under.  No torch.

The work (`graph/work.py`), type and mode, and the code that does it: of the stage's package, of the model's family, of
this engine, and the versions of the libraries.  Behind that stands the machine: device, how it rounds, threads.  A
plan, which looks at no device, asks for the former alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from retouch.graph.nodes import FromEngine, FromNode, Graph, Node, NodeId
from retouch.graph.plan import plan
from retouch.graph.work import Making, Works, code_at, sha256
from retouch.models import families
from retouch.run.store.blobs import Store
from retouch.version import __version__

OUTPUTS = ("Trajectory", "Mask", "Denoiser")
_FORM = 1  # of keys and of blobs; another makes all anew
_LIBRARIES = ("torch", "diffusers", "transformers", "numpy")


def worth_keeping(graph: Graph) -> list[Node]:
    """The stages of a graph whose values are kept: those that cost rows, and say nothing that a run has to tell."""
    rows = plan(graph).rows
    return [
        node
        for node in graph.nodes
        if node.card.output in OUTPUTS
        and rows[node.id][1]
        and not any(each.card.takes("Notices") for each in node.everything())
    ]


def model_of(graph: Graph, node: Node) -> str | None:
    """The model whose network a node works with, by what its denoiser was tuned from; None where that is not one.

    It stands in the work of the node, so that whoever has the same key comes to the same weights.
    """
    found: set[str] = set()
    waiting = [node]
    while waiting:
        for _, edge in waiting.pop().edges():
            if isinstance(edge, FromNode) and (before := graph.node(edge.id)).card.output == "Denoiser":
                waiting.append(before)
            elif isinstance(edge, FromEngine) and edge.type == "Denoiser":
                found.add(str(edge.settings.get("model", graph.model.name)))
    if not found and not {*graph.models} - {graph.model.name}:
        return graph.model.name
    return found.pop() if len(found) == 1 else None


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys of the values of one graph.

    making: how results are made; machine: what rounds, as `Settings.told` has it; empty where nothing runs.
    """

    graph: Graph
    making: Making
    machine: str = ""
    works: Mapping[NodeId, str] = field(default_factory=dict[NodeId, str])

    @staticmethod
    def of(graph: Graph, making: Making, told: Mapping[str, str] | None = None) -> Keys:
        """The keys of a graph whose pictures are as they are now.  told: how it runs."""
        return Keys(graph, making, sha256(dict(told)) if told else "", _WORKS.of(graph))

    def key(self, id_: NodeId) -> str:
        """The key of a node's value, by the work behind it."""
        return self._key(self.works[id_])

    def key_by_values(self, id_: NodeId, values: Mapping[NodeId, str]) -> str:
        """The key of a node's value, by the digests of the values that some nodes have given it; of others, the work.

        So work that comes to the same values as other work, such as a picture that was saved anew, ends there.
        """
        return self._key(_WORKS.one(self.graph.node(id_), self.graph, {**self.works, **values}))

    def changed(self) -> bool:
        """Whether a file that it reads is another since."""
        return _WORKS.of(self.graph) != self.works

    def in_store(self, there: Collection[str]) -> list[Node]:
        """The nodes that a store with these keys has, made on whatever device."""
        begun = {key.partition("-")[0] for key in there}
        return [node for node in worth_keeping(self.graph) if self.key(node.id).partition("-")[0] in begun]

    def _key(self, work: str) -> str:
        models = {model.pipeline for model in (self.graph.model, *self.graph.models.values())}
        how: list[Any] = [self.making.dtype, self.making.exact, self.making.compiled, self.making.vae_tiling]
        return f"{sha256([_FORM, work, how, _made_by(), [_code(each) for each in sorted(models)]])}-{self.machine[:32]}"


_WORKS = Works()  # no plugin's version is trusted: an author may be writing the built-in ones as well


@cache
def _made_by() -> list[str]:
    """The engine and its libraries."""
    found = [__version__, code_at(__file__)]
    for name in _LIBRARIES:
        try:
            found.append(version(name))
        except PackageNotFoundError:
            found.append("")
    return found


@cache
def _code(pipeline: str) -> str:
    """The code of the family that reads such models."""
    module = families.installed().get(pipeline, "").partition(":")[0]
    spec = find_spec(module) if module else None
    return code_at(spec.origin) if spec and spec.origin else ""


def count_in(store: Store | None, graphs: Collection[Graph], making: Making) -> Mapping[str, int]:
    """How often each stage's value is in the store, by the stage's name."""
    there = [*store.keys()] if store else []
    found: dict[str, int] = {}
    for graph in graphs if there else ():
        for node in Keys.of(graph, making).in_store(there):
            found[node.card.name] = found.get(node.card.name, 0) + 1
    return found
