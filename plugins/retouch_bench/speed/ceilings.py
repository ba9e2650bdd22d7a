"""The most that this device does: arithmetic by a large matrix product, memory by a copy."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from retouch_bench.speed.timing import timing

GIGA, TERA = 1e9, 1e12


@dataclass(frozen=True, slots=True)
class Ceilings:
    """What no network can exceed.

    flops: a second, two for each multiply-add.
    bandwidth: bytes a second, read and written together.
    """

    flops: float
    bandwidth: float


def matrix_product(side: int, device: torch.device, dtype: torch.dtype) -> float:
    """FLOPs a second of [side, side] @ [side, side], random numbers."""
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    out = torch.empty_like(a)
    return 2 * side**3 / timing(lambda: torch.matmul(a, b, out=out), device, warm=5).each


def copy(size: int, device: torch.device) -> float:
    """Bytes a second, read and written, of copying `size` random bytes."""
    source = torch.randint(256, (size,), device=device, dtype=torch.uint8)
    target = torch.empty_like(source)
    return 2 * size / timing(lambda: target.copy_(source), device, warm=5).each
