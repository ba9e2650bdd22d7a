"""The same bits again: what CUDA's libraries have to be told for it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def repeatable() -> Iterator[None]:
    """Let the libraries choose only kernels that give the same bits each time, and take float32 for float32.

    Without it attention's backward pass adds in whatever order its blocks end, and convolutions of float32 round their
    inputs to TF32, three digits.  What has no such kernel runs all the same; nothing of it changes anything on a CPU.
    """
    if not torch.cuda.is_available():
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS is first used
    cudnn = torch.backends.cudnn
    memory: Any = torch.utils.deterministic
    before = cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32, memory.fill_uninitialized_memory
    mode = torch.get_deterministic_debug_mode()
    memory.fill_uninitialized_memory = False  # it costs a pass over memory, and nobody reads that
    torch.use_deterministic_algorithms(True, warn_only=True)
    cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32 = True, False, False
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*does not have a deterministic implementation.*")
            yield
    finally:
        torch.set_deterministic_debug_mode(mode)
        cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32, memory.fill_uninitialized_memory = before
