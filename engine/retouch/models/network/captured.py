"""Forward and backward passes captured once as CUDA graphs, then replayed: one launch instead of a thousand.

A replay runs the very kernels that were captured, so it gives the same bits as a pass without it.
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from retouch.core.device.repeatable import backward_repeatable, strict
from retouch.models.family import Rows

Network = Callable[[Rows], Tensor]
"""What one pass asks, to the prediction [rows, C, h, w]"""


class CapturedNetwork:
    """A network on a CUDA device whose passes are captured, one graph for each shape of its inputs.

    The first pass of a shape runs as it is, which also warms it up; the second is captured, all later ones replay.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self.graphs: dict[Hashable, _Forward | _ForwardBackward | None] = {}  # None: cannot be captured
        self._seen: set[Hashable] = set()
        self._pool: Any = None

    def __call__(self, rows: Rows) -> Tensor:
        """Evaluate the network; gradients flow to those of the tensors that ask for them."""
        key = tuple((each.shape, each.dtype, each.requires_grad) for each in rows.tensors)
        if key not in self._seen:
            self._seen.add(key)
            return self.network(rows)
        if key not in self.graphs:
            self.graphs[key] = self._capture(rows)
        graph = self.graphs[key]
        if graph is None or graph.busy:
            return self.network(rows)
        return graph(*rows.tensors)

    def _capture(self, rows: Rows) -> _Forward | _ForwardBackward | None:
        torch.cuda.empty_cache()  # a graph's memory is its own; what was cached for others may be in its way
        try:
            if any(each.requires_grad for each in rows.tensors):
                return _ForwardBackward(self.network, rows)
            graph = _Forward(self.network, rows, self._pool)
            self._pool = graph.pool
        except RuntimeError as error:  # too little memory, or an operation that cannot be captured
            torch.cuda.empty_cache()
            said = str(error).partition("\n")[0]
            warnings.warn(f"calls of {len(rows.x)} rows cannot be captured as a CUDA graph: {said}", stacklevel=2)
            return None
        return graph


class _Forward:
    """A pass without gradients.  Such graphs share memory: what one leaves is read before another is replayed."""

    busy = False

    def __init__(self, network: Network, rows: Rows, pool: Any) -> None:
        self.inputs = tuple(each.clone() for each in rows.tensors)
        mine = rows.of(self.inputs)
        _warm_up(lambda: network(mine))
        self.graph = torch.cuda.CUDAGraph()
        with _captured(self.graph, pool):
            self.out = network(mine)
        self.pool = self.graph.pool()

    def __call__(self, *inputs: Tensor) -> Tensor:
        for place, given in zip(self.inputs, inputs, strict=True):
            place.copy_(given)
        self.graph.replay()
        return self.out  # overwritten by the next replay


class _ForwardBackward:
    """A pass and the one back through it.  It is busy from the one until the other can no longer be asked for."""

    def __init__(self, network: Network, rows: Rows) -> None:
        self.inputs = tuple(given.detach().clone().requires_grad_(given.requires_grad) for given in rows.tensors)
        mine = rows.of(self.inputs)
        self.leaves = [place for place in self.inputs if place.requires_grad]
        self._user: Callable[[], object | None] = lambda: None

        def both() -> None:
            out = network(mine)
            torch.autograd.grad(out, self.leaves, torch.ones_like(out))

        with torch.enable_grad():
            _warm_up(lambda: backward_repeatable(both))
            self.forward, self.backward = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
            with _captured(self.forward):
                out = network(mine)
            self.grad_out = torch.zeros_like(out)
            with strict(), _captured(self.backward, self.forward.pool()):
                self.grads = torch.autograd.grad(out, self.leaves, self.grad_out)
        self.out = out.detach()

    @property
    def busy(self) -> bool:
        """Whether what the last pass left is still wanted for its way back."""
        return self._user() is not None

    def __call__(self, *inputs: Tensor) -> Tensor:
        user = _User()
        self._user = weakref.ref(user)
        return _Replayed.apply(self, user, *inputs)  # pyright: ignore[reportReturnType]

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


class _User:
    """Lives as long as the autograd node that may still go back through a pass."""


class _Replayed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, graph: _ForwardBackward, user: _User, *inputs: Tensor) -> Tensor:
        ctx.graph, ctx.user = graph, user
        return graph.run_forward(inputs)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride] (once_differentiable loses the parameters' names)
        ctx: Any, *grad_outputs: Tensor
    ) -> tuple[Tensor | None, ...]:
        return (None, None, *ctx.graph.run_backward(*grad_outputs))


def _captured(graph: torch.cuda.CUDAGraph, pool: Any = None) -> AbstractContextManager[None]:
    """Capture what this thread does, whatever other threads ask of the device meanwhile.

    Those that write results copy and allocate; by default any of that, in any thread, would end the capture.
    """
    return torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local")


def _warm_up(run: Callable[[], object]) -> None:
    """Once on another stream, as capturing wants it: libraries choose kernels and take their workspaces."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        run()
    torch.cuda.current_stream().wait_stream(stream)
