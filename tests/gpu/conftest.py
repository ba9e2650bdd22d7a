"""All tests here want a CUDA device; RETOUCH_GPU_REHEARSE=cpu rehearses them on the CPU."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from tests.gpu.device import READY, REHEARSED


@pytest.fixture(autouse=True)
def exact_float32() -> Iterator[None]:
    """No TF32, whose products have ten bits, and no kernels whose sums depend on who comes first."""
    if not READY:
        pytest.skip("no CUDA device; RETOUCH_GPU_REHEARSE=cpu rehearses on the CPU")
    if REHEARSED:
        torch.set_num_threads(1)
    before = torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic
    torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic = False, True
    yield
    torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic = before
