"""The stages of a run whose values come from the store, or go there when they were made.

A value is looked for by the work behind it, before anything is made for it; and by the values that the stage is given,
once these are there.  Fast mode packs rows by what waits together, which decides last bits: a value that was made in
company is as good as another of fast mode, and is taken for it; exact mode has only what exact mode made.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from typing import Any

import torch

from retouch.core.denoiser import Denoiser
from retouch.core.values import Image, Latents, Mask
from retouch.graph.nodes import FromNode, Graph, Node, NodeId
from retouch.graph.work import Making
from retouch.models.errors import BrokenModel
from retouch.run.settings import Settings
from retouch.run.store.blobs import Store
from retouch.run.store.encoding import Network, Unstorable, decoded, encoded
from retouch.run.store.keys import Keys, worth_keeping
from retouch.run.task import MISSING, Task

_BY_VALUE = (Image, Latents, Mask)  # what is told by its numbers where it is given to a stage


@dataclass(slots=True)
class RunStore:
    """The store as a run uses it.  taken: how often a stage's value was in it, by the stage's name."""

    store: Store
    settings: Settings
    taken: Counter[str] = field(default_factory=Counter[str])

    def of(self, graph: Graph, network: Callable[[Node], Denoiser | None]) -> dict[NodeId, KeptStage]:
        """The stages of a graph that are kept.  network: the denoiser that a stage's tunings begin with."""
        nodes = worth_keeping(graph)
        if not nodes:
            return {}
        settings = self.settings
        making = Making(settings.dtype, settings.exact, settings.compiled, vae_tiling=settings.vae_tiling)
        keys = Keys.of(graph, making, settings.told)
        return {node.id: KeptStage(self, node, keys, partial(network, node)) for node in nodes}


@dataclass(slots=True, eq=False)
class KeptStage:
    """A stage whose value is looked for before it is made, and kept when it was."""

    run: RunStore
    node: Node
    keys: Keys
    network: Network
    _by_values: str = ""

    def around(self, task: Task) -> Task:
        """The stage's task, which now looks first."""
        start = task.start

        def look(*values: Any) -> Any:
            """Call the stage, unless something has come of these values before."""
            digests: dict[NodeId, str] = {}  # of what other nodes give, as far as numbers tell all
            for (_, edge), value in zip(self.node.edges(), values, strict=True):
                if isinstance(edge, FromNode) and isinstance(value, _BY_VALUE):
                    with suppress(Unstorable):  # it is told by its work alone
                        digests[edge.id] = hashlib.sha256(encoded(value, self.network)).hexdigest()
            self._by_values = self.keys.key_by_values(self.node.id, digests)
            found = self._taken(self._by_values)
            return start(*values) if found is MISSING else found

        task.instead = lambda: self._taken(self.keys.key(self.node.id))
        task.start = look
        return task

    def ended(self, task: Task) -> None:
        """Keep what was made, if rows were paid for it, its type may be kept, and what it was made of is as it was."""
        if not task.rows or self.keys.changed():
            return
        try:
            data = encoded(task.result, self.network)
        except (Unstorable, RecursionError):
            return
        self.run.store.write(data, self.keys.key(self.node.id), self._by_values)

    def _taken(self, key: str) -> Any:
        """What a key leads to, or MISSING.  What cannot be made of a blob that is whole is not asked for again."""
        store = self.run.store
        found = store.read(key)
        if found is None:
            return MISSING
        name, data = found
        with suppress(Exception):  # whoever has not run the stage yet, as a fresh worker, knows no types of its values
            import_module(self.node.card.module)
        try:
            value = decoded(data, torch.device(self.run.settings.device), self.network)
        except (KeyError, TypeError, ValueError, BrokenModel):
            store.drop(name)
            return MISSING
        if key == self._by_values:
            store.lead(self.keys.key(self.node.id), name)
        self.run.taken[self.node.card.name] += 1
        return value
