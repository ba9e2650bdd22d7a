"""How a device rounds: two that are told alike give the same bits to the same calculation, as far as a probe tells."""

from __future__ import annotations

import hashlib
from functools import cache

import torch
from torch.nn import functional as F

from retouch.core.device.repeatable import EXACT_THREADS, with_threads


@cache
def rounding_of(device: str) -> str:
    """The instruction set of the CPU with a digest of what small calculations come to on it, or the name of a GPU.

    The name of the instruction set alone says too little: libraries choose their kernels by the maker of the CPU, by
    its caches and by variables of the environment.
    """
    kind = torch.device(device)
    if kind.type == "cuda" and torch.cuda.is_available():
        return torch.cuda.get_device_name(kind)
    if kind.type != "cpu":
        return kind.type
    with torch.no_grad(), with_threads(EXACT_THREADS):
        # A product, convolutions, an attention, a norm, and functions whose vectors have an end, of drawn numbers.
        drawn = torch.Generator().manual_seed(0)
        x = torch.randn(8, 64, 16, 16, generator=drawn)
        wide, narrow = (torch.randn(96, 64, side, side, generator=drawn) / 24 for side in (3, 1))
        tokens = x.flatten(2).transpose(1, 2)
        heads = tokens[:, None]
        probe = [
            F.conv2d(x, wide, padding=1),
            F.conv2d(x, narrow),
            tokens @ narrow[:, :, 0, 0].T,
            F.scaled_dot_product_attention(heads, heads, heads),
            F.group_norm(x, 8),
            F.silu(x.flatten()[:81_919]),
            x.exp().sum(),
        ]
        made = hashlib.sha256(b"".join(each.contiguous().numpy().tobytes() for each in probe))
    return f"{torch.backends.cpu.get_cpu_capability()} {made.hexdigest()[:12]}"
