"""The same bits again: what CUDA's libraries and the CPU's threads have to be told for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from typing import Any, TypeVar

import torch

T = TypeVar("T")
# Torch asks for it once, when cuBLAS is first used, which may be long before a run.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
UNORDERED = "does not have a deterministic implementation"  # what torch says where it has no fixed order to offer
EXACT_THREADS = 1  # in exact mode, however many cores there are; see record 94


@cache
def _care_for_children() -> None:
    """Give processes that are forked from this one a single thread.

    The threads that have calculated here are not there in the child, where OpenMP would wait for them for ever.
    """
    os.register_at_fork(after_in_child=partial(torch.set_num_threads, 1))


@contextmanager
def with_threads(count: int) -> Iterator[None]:
    """Let the CPU's kernels divide each calculation among so many threads.

    Bits hang on it: convolutions choose another order of sums, and the vectors of exponentials end elsewhere, so that a
    row's place in its batch decides, too.
    """
    _care_for_children()
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Compute as if the caller stood in no block of torch's: a script may, and bits and stages hang on all of them.

    Blocks that turn on inference mode, autocast, another default type or device; for grad mode whoever computes cares.
    """
    kind = torch.get_default_dtype()
    with ExitStack() as plain:
        if torch.is_inference_mode_enabled():
            plain.enter_context(torch.inference_mode(False))
        for device in ("cpu", "cuda"):
            if torch.is_autocast_enabled(device):
                plain.enter_context(torch.autocast(device, enabled=False))
        if torch.get_default_device().type != "cpu":
            plain.enter_context(torch.device("cpu"))
        if kind != torch.float32:
            torch.set_default_dtype(torch.float32)
            plain.callback(torch.set_default_dtype, kind)
        yield


@contextmanager
def repeatable(*, always: bool = False) -> Iterator[None]:
    """Let cuDNN choose only kernels that give the same bits each time, and take float32 for float32.

    always: whether whatever has no fixed order of sums on a GPU raises RuntimeError, as exact mode wants it.
    """
    with ExitStack() as told:
        told.enter_context(_whole_float32())
        if torch.cuda.is_available():
            cudnn = torch.backends.cudnn
            told.callback(_tell, cudnn, deterministic=cudnn.deterministic, benchmark=cudnn.benchmark)
            _tell(cudnn, deterministic=True, benchmark=False)
            if always:
                told.enter_context(strict())
        yield


@contextmanager
def _whole_float32() -> Iterator[None]:
    """Let no product and no convolution of float32 be one of TF32 or bfloat16, whatever a script wants of its own.

    From torch 2.9 on each kind of operation has a setting, beside which the older flags for all raise or do nothing.
    """
    backends: Any = torch.backends
    with ExitStack() as told:
        if hasattr(backends.cudnn, "conv"):
            for kind in (backends.cuda.matmul, backends.cudnn.conv, backends.mkldnn.matmul, backends.mkldnn.conv):
                told.callback(_give_back, kind, kind.fp32_precision)
                kind.fp32_precision = "ieee"
        else:
            told.callback(_tell, backends.cudnn, allow_tf32=backends.cudnn.allow_tf32)
            backends.cudnn.allow_tf32 = False
            told.callback(torch.set_float32_matmul_precision, torch.get_float32_matmul_precision())
            torch.set_float32_matmul_precision("highest")
        yield


def _give_back(kind: Any, precision: str) -> None:
    """Let a kind of operation have its precision, by what holds for all where that says the same."""
    kind.fp32_precision = "none"
    if kind.fp32_precision != precision:
        kind.fp32_precision = precision


def _tell(what: Any, **settings: object) -> None:
    for name, value in settings.items():
        setattr(what, name, value)


def backward_repeatable(run: Callable[[], T]) -> T:
    """Run a backward pass whose sums are added up in a fixed order, which attention's are only on demand.

    Where some operation has no such order, it runs as it can, but for exact mode; so `run` may be called twice.
    """
    if not torch.cuda.is_available() or torch.are_deterministic_algorithms_enabled():
        return run()
    try:
        with strict():
            return run()
    except RuntimeError as error:
        if UNORDERED not in str(error):
            raise
        return run()


@contextmanager
def strict() -> Iterator[None]:
    """Raise RuntimeError where an operation has no fixed order."""
    memory: Any = torch.utils.deterministic
    mode, fill = torch.get_deterministic_debug_mode(), memory.fill_uninitialized_memory
    memory.fill_uninitialized_memory = False  # it costs a pass over memory, and nobody reads that
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(mode)
        memory.fill_uninitialized_memory = fill
