"""Forward and backward passes captured once as CUDA graphs, then replayed: one launch instead of a thousand.

A replay runs the very kernels that were captured, so it gives the same bits as a pass without it.
"""

from __future__ import annotations

import warnings
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from threading import Lock
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from retouch.core.device.repeatable import backward_repeatable, strict
from retouch.core.tuning import NOTHING, ModelDelta
from retouch.models.family import Rows

Network = Callable[[Rows, ModelDelta], Tensor]
"""What one pass asks, and what it runs under, to the prediction [rows, C, h, w]"""


MOST_GRAPHS = 64  # of passes without gradients: what each keeps for itself is its inputs, its output and its launches
MOST_POOLS = 4  # of passes with gradients that wait for their way back at one time
FEW = 8  # passes under LoRA files or tuned weights that run as they are: a capture takes the time of about as many


_networks: weakref.WeakSet[CapturedNetwork] = weakref.WeakSet()  # all there are, of whatever run
_listed = Lock()  # while they are gone through, none may come
_one_at_a_time = Lock()  # a capture frees what the device has cached, and none may be under way then


def give_back_memory() -> bool:
    """Let go of all graphs that no pass waits in, in whose memory nothing else can work; whether there was one."""
    with _listed:
        networks = list(_networks)
    return sum(network.give_back_memory() for network in networks) > 0


class CapturedNetwork:
    """A network on a CUDA device whose passes are captured, one graph for each shape of its inputs.

    The first pass of a shape runs as it is, which also warms it up; the second is captured, all later ones replay.

    What runs under a delta, LoRA files or tuned weights, has graphs of its own: they read the delta's tensors where
    these lie, so what is written into them is seen, and go when it does.  Many a delta lives for a few passes, such as
    each step of a tuning, so more of them run as they are; one that a gradient is asked by never comes here.

    Graphs of one pool work in the same memory, which grows to what the largest takes.  Those without gradients all
    share one: what one leaves is read before another is replayed.  What a pass with gradients leaves has to stay for
    its way back, so pools of those stand beside each other, as many as passes have waited at one time.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        # None: cannot be captured
        self.graphs: OrderedDict[_Shape, _Forward | _ForwardBackward | None] = OrderedDict()
        self._passed: dict[_Shape, int] = {}  # how often it ran as it is since it was last captured
        self._few: dict[_Shape, int] = {}  # how often it has to
        self._moved: set[_Shape] = set()  # to another pool
        self._refused: set[tuple[int, type]] = set()  # kinds of passes that do what no graph can hold
        self._forward, self._pools = _Pool(), [_Pool() for _ in range(MOST_POOLS)]
        self._deltas: weakref.WeakKeyDictionary[ModelDelta, int] = weakref.WeakKeyDictionary()
        self._gone: deque[int] = deque()  # numbers of deltas, in the order in which nobody had them any more
        self._numbers = count(1)
        self._turn = Lock()  # another run, in another thread, may give its memory back
        with _listed:
            _networks.add(self)

    def __call__(self, rows: Rows, delta: ModelDelta = NOTHING) -> Tensor:
        """Evaluate the network; gradients flow to those of the tensors that ask for them, none to the delta's."""
        with self._turn:
            return self._evaluated(rows, delta)

    def give_back_memory(self) -> bool:
        """Let go of all graphs that no pass waits in, which are captured again, later; whether there was one."""
        with self._turn:
            idle = [key for key, graph in self.graphs.items() if graph and not graph.pool.busy]
            for key in idle:
                self._drop(key)
        return bool(idle)

    def _evaluated(self, rows: Rows, delta: ModelDelta) -> Tensor:
        self._forget()
        strictly = torch.are_deterministic_algorithms_enabled()
        shapes = tuple([(each.shape, each.dtype, each.requires_grad) for each in rows.tensors])
        key = _Shape(self._number(delta), strictly, shapes)
        few = self._few.setdefault(key, FEW if key.delta else 1)
        if key not in self.graphs and self._passed.setdefault(key, 0) < few:
            self._passed[key] += 1
            return self.network(rows, delta)
        graph = self.graphs.get(key)
        crossed = graph is not None and graph.pool.busy and graph.pool.user is not graph and key not in self._moved
        if (key not in self.graphs or crossed) and (pool := self._pool(rows)):
            if crossed:  # it waits for its way back beside one of the same pool: another is its own from now on
                self._moved.add(key)
            graph = self.graphs[key] = self._capture(rows, delta, pool)
            self._let_go()
        if key in self.graphs:
            self.graphs.move_to_end(key)
        if graph is None or graph.pool.busy:
            return self.network(rows, delta)
        return graph(*rows.tensors)

    def _number(self, delta: ModelDelta) -> int:
        """Which delta this is: 0 where the network's own weights are all, and else a number that no other ever had."""
        if not delta.acts:
            return 0
        number = self._deltas.get(delta)
        if number is None:
            number = self._deltas[delta] = next(self._numbers)
            weakref.finalize(delta, self._gone.append, number).atexit = False
        return number

    def _forget(self) -> None:
        """Let go what was captured under deltas that are no more: here, since they may go while another is captured."""
        while self._gone:
            number = self._gone.popleft()
            for table in (self.graphs, self._passed, self._few):
                for key in [key for key in table if key.delta == number]:
                    del table[key]
            self._moved = {key for key in self._moved if key.delta != number}
            self._refused = {each for each in self._refused if each[0] != number}

    def _pool(self, rows: Rows) -> _Pool | None:
        """Where a pass may be captured: for one with gradients, where no other waits for its way back."""
        if not any(each.requires_grad for each in rows.tensors):
            return self._forward
        return next((pool for pool in self._pools if not pool.busy), None)

    def _capture(self, rows: Rows, delta: ModelDelta, pool: _Pool) -> _Forward | _ForwardBackward | None:
        kind = _Forward if pool is self._forward else _ForwardBackward
        refused = self._number(delta), kind
        if refused in self._refused:  # another shape would fail likewise, and each failure costs a pass and memory
            return None
        torch.cuda.empty_cache()  # a graph's memory is its own; what was cached for others may be in its way
        try:
            return kind(lambda mine: self.network(mine, delta), rows, pool)
        except RuntimeError as error:
            short, said = _cause(error)
            if not short:
                self._refused.add(refused)
        # Behind the handler, which kept what there was of the graph alive.
        torch.cuda.empty_cache()
        warnings.warn(f"calls of {len(rows.x)} rows cannot be captured as a CUDA graph: {said}", stacklevel=2)
        return None

    def _let_go(self) -> None:
        """Forget what was replayed longest ago; a shape that comes again is captured again, each time later.

        So of more shapes that take turns than there may be graphs, none is captured for a single replay.
        """
        while len(self.graphs) > MOST_GRAPHS:
            key = next((key for key, graph in self.graphs.items() if graph is None or not graph.pool.busy), None)
            if key is None:
                return
            self._drop(key)

    def _drop(self, key: _Shape) -> None:
        del self.graphs[key]
        self._passed[key] = 0
        self._few[key] *= 2
        self._moved.discard(key)


class _Shape(NamedTuple):
    """What passes have in common that one graph serves."""

    delta: int  # its number, 0 for none
    strictly: bool
    tensors: tuple[Hashable, ...]


class _Pool:
    """Memory that graphs share; it lasts as long as one of them does."""

    def __init__(self) -> None:
        self._graphs: weakref.WeakSet[torch.cuda.CUDAGraph] = weakref.WeakSet()
        self._wanted: Callable[[], object | None] = lambda: None
        self.user: object = None  # what was replayed here last
        self._made: torch.cuda.Stream | None = None

    @property
    def busy(self) -> bool:
        """Whether what a pass left here is still wanted for its way back."""
        return self._wanted() is not None

    def used(self, by: object) -> _WayBack:
        """Be busy as long as what this returns lives."""
        wanted, self.user = _WayBack(), by
        self._wanted = weakref.ref(wanted)
        return wanted

    @property
    def _stream(self) -> torch.cuda.Stream:
        """Of all its captures, as its memory belongs to one.

        Torch's own is of the device that captured first, and holds nothing that is done on another.
        """
        self._made = self._made or torch.cuda.Stream()
        return self._made

    def warmed_up(self, run: Callable[[], object]) -> None:
        """Run once what is captured next, as capturing wants it: libraries choose kernels and take their workspaces.

        Those are each stream's own and never given back, 32 MB of cuBLAS's alone: so it is the stream of the capture.
        """
        stream = self._stream
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            run()
        torch.cuda.current_stream().wait_stream(stream)

    @contextmanager
    def captured(self, graph: torch.cuda.CUDAGraph) -> Iterator[None]:
        """Capture what this thread does, whatever other threads ask of the device meanwhile.

        Those that write results copy and allocate; by default any of that, in any thread, would end the capture.
        """
        shared = next(iter(self._graphs), None)  # where none is left, so is no memory
        pool = shared.pool() if shared else torch.cuda.graph_pool_handle()
        device, before = torch.cuda.current_device(), torch.cuda.current_stream()
        with _one_at_a_time:
            try:
                with torch.cuda.graph(graph, pool=pool, stream=self._stream, capture_error_mode="thread_local"):
                    yield
            except BaseException:
                _leave(pool, device, before)
                raise
        self._graphs.add(graph)


def _leave(pool: Any, device: int, before: torch.cuda.Stream) -> None:
    """Undo what torch leaves of a capture that the device refused to end.

    Its stream stays the current one, which other threads' copies do not wait for; and up to torch 2.12 the allocator
    goes on to believe that a capture is under way, and fails wherever memory is given back.
    """
    torch.cuda.set_stream(before)
    with suppress(AttributeError, RuntimeError):  # as other versions name it; or it was ended
        torch._C._cuda_endAllocateToPool(device, pool)


def _cause(error: RuntimeError) -> tuple[bool, str]:
    """Whether memory was short, and what failed in a capture, of which its end says no more than that something had."""
    while isinstance(error.__context__, RuntimeError):
        error = error.__context__
    return isinstance(error, torch.OutOfMemoryError), str(error).partition("\n")[0]


class _Forward:
    """A pass without gradients."""

    def __init__(self, network: Callable[[Rows], Tensor], rows: Rows, pool: _Pool) -> None:
        self.pool, self.inputs = pool, tuple(each.clone() for each in rows.tensors)
        mine = rows.of(self.inputs)
        pool.warmed_up(lambda: network(mine))
        self.graph = torch.cuda.CUDAGraph()
        with pool.captured(self.graph):
            self.out = network(mine)

    def __call__(self, *inputs: Tensor) -> Tensor:
        for place, given in zip(self.inputs, inputs, strict=True):
            place.copy_(given)
        self.graph.replay()
        return self.out  # overwritten by the next replay


class _ForwardBackward:
    """A pass and the one back through it.  Its pool is busy from the one until the other can no longer be asked for."""

    def __init__(self, network: Callable[[Rows], Tensor], rows: Rows, pool: _Pool) -> None:
        self.pool = pool
        self.inputs = tuple(given.detach().clone().requires_grad_(given.requires_grad) for given in rows.tensors)
        mine = rows.of(self.inputs)
        self.leaves = [place for place in self.inputs if place.requires_grad]

        def both() -> None:
            out = network(mine)
            torch.autograd.grad(out, self.leaves, torch.ones_like(out))

        with torch.enable_grad():
            pool.warmed_up(lambda: backward_repeatable(both))
            self.forward, self.backward = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
            with pool.captured(self.forward):
                out = network(mine)
            self.grad_out = torch.zeros_like(out)
            with strict(), pool.captured(self.backward):
                self.grads = torch.autograd.grad(out, self.leaves, self.grad_out)
        self.out = out.detach()

    def __call__(self, *inputs: Tensor) -> Tensor:
        return _Replayed.apply(self, self.pool.used(self), *inputs)  # pyright: ignore[reportReturnType]

    def run_forward(self, inputs: tuple[Tensor, ...]) -> Tensor:
        with torch.no_grad():
            for place, given in zip(self.inputs, inputs, strict=True):
                place.copy_(given)
        self.forward.replay()
        return self.out.clone()

    def run_backward(self, grad: Tensor) -> list[Tensor | None]:
        """The gradient by each input, None where it was not asked for."""
        self.grad_out.copy_(grad)
        self.backward.replay()
        made = iter(self.grads)
        return [next(made).clone() if place.requires_grad else None for place in self.inputs]


class _WayBack:
    """Lives as long as the autograd node that may still go back through a pass."""


class _Replayed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, graph: _ForwardBackward, way_back: _WayBack, *inputs: Tensor) -> Tensor:
        ctx.graph, ctx.way_back = graph, way_back
        return graph.run_forward(inputs)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride] (once_differentiable loses the parameters' names)
        ctx: Any, *grad_outputs: Tensor
    ) -> tuple[Tensor | None, ...]:
        return (None, None, *ctx.graph.run_backward(*grad_outputs))
