"""CUDA graphs of the pretended device: what is captured is done again, in memory that graphs of one pool share.

A capture does nothing, and its results hold nothing until it is replayed.  Where another graph of the same pool may
have been given the memory that one has let go, its replay leaves NaN there, as a GPU leaves the other's numbers.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from retouch.testing.pretend.nested import flat
from retouch.testing.pretend.noting import devices
from retouch.testing.pretend.streams import Stream


class Memory:
    """A tensor's worth of a pool, for as long as any tensor lies in it."""

    def __init__(self, numbers: Tensor) -> None:
        self.numbers = numbers
        self.tensors: list[weakref.ref[Tensor]] = []

    @property
    def held(self) -> bool:
        """Whether anybody still has a tensor there."""
        return any(each() is not None for each in self.tensors)

    def spoil(self) -> None:
        """Leave nothing there that anybody could mean."""
        self.numbers.fill_(float("nan") if self.numbers.is_floating_point() else 0)


class PretendedGraph:
    """What one capture recorded; as `torch.cuda.CUDAGraph`."""

    def __init__(self) -> None:
        self.calls: list[tuple[Callable[..., Any], Sequence[Any], Mapping[str, Any], Any]] = []
        self.failed = False
        self.memory: dict[int, Memory] = {}  # by storage
        self.spoils: list[Memory] = []  # of other graphs, where what it does may lie
        self._pool: GraphPool | None = None

    def pool(self) -> GraphPool:
        """The memory that it may share.  Raises RuntimeError before a capture."""
        if self._pool is None:
            raise RuntimeError("Called CUDAGraph::pool() without a preceding successful capture.")
        return self._pool

    def reset(self) -> None:
        """Let go what it holds."""
        if self._pool:
            self._pool.graphs.discard(self)
        self.calls, self.memory, self.spoils = [], {}, []

    def replay(self) -> None:
        """Do it again, on what now lies where it lay."""
        if devices:
            devices[-1].replays += 1
        for each in self.spoils:
            each.spoil()
        for func, args, kwargs, made in self.calls:
            again = func(*args, **kwargs)
            for place, numbers in zip(flat([made]), flat([again]), strict=True):
                storage = place.untyped_storage()._cdata
                if storage in self.memory and storage != numbers.untyped_storage()._cdata:
                    place.copy_(numbers)

    def record(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], made: Any, there: Any) -> None:
        """Take down an operation on numbers.  there: the tensors of the device that hold what was made."""
        self.calls.append((func, args, kwargs, made))
        given = {each.untyped_storage()._cdata for each in (*flat(args), *flat(kwargs.values()))}
        for numbers, tensor in zip(flat([made]), flat([there]), strict=True):
            storage = numbers.untyped_storage()._cdata
            if storage not in given:
                self.memory.setdefault(storage, Memory(numbers))
            if storage in self.memory:
                self.memory[storage].tensors.append(weakref.ref(tensor))


class GraphPool:
    """Memory of graphs; it lasts as long as one of them does."""

    def __init__(self) -> None:
        self.graphs: weakref.WeakSet[PretendedGraph] = weakref.WeakSet()
        self.begun = False

    def free(self) -> list[Memory]:
        """What nobody holds of the memory of graphs that were captured: a capture that begins now may be given it."""
        return [each for graph in self.graphs for each in graph.memory.values() if not each.held]

    def join(self, graph: PretendedGraph) -> None:
        """Let a graph work here that was just captured: where others work, it may have come to lie."""
        for other in self.graphs:
            other.spoils += graph.memory.values()
        self.graphs.add(graph)


@contextmanager
def capture(
    graph: PretendedGraph,
    pool: GraphPool | None = None,
    stream: Stream | None = None,
    capture_error_mode: str = "global",
) -> Iterator[None]:
    """Record what is done instead of doing it; as `torch.cuda.graph`, up to 2.12.

    stream: where it is another device's, nothing is recorded, and all is done at once.
    After an operation that cannot be captured its end is refused, and leaves the stream and the allocator as they are.
    """
    device = devices[-1]
    if pool is not None and pool.begun and not pool.graphs:
        raise RuntimeError("it->second->use_count > 0 INTERNAL ASSERT FAILED: no graph of this pool is left")
    graph._pool = pool = pool or GraphPool()
    graph.spoils = pool.free()
    before, device.stream = device.stream, stream or Stream(0)  # its own is of the device that captured first
    device.capturing = graph if device.stream.index == device.index else None
    device.underway.append(pool)
    device.captures += 1
    try:
        yield
    finally:
        device.capturing = None
        if graph.failed:
            raise RuntimeError("CUDA error: operation failed due to a previous error during capture")
        device.stream = before
        device.underway.remove(pool)
    pool.begun = True
    pool.join(graph)
    for each in graph.memory.values():
        each.spoil()
