"""From the host to a device without waiting: a copy out of pinned memory runs beside whatever comes next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def upload(host: Tensor, device: torch.device) -> Tensor:
    """A tensor of the host, of any shape, on the device; nobody waits for the copy, and on the CPU there is none."""
    if device.type != "cuda":
        return host.to(device)
    return host.pin_memory().to(device, non_blocking=True)


def upload_numbers(numbers: Sequence[Any], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Numbers, or rows of them, as a tensor on the device.  [count] or [rows, count]"""
    return upload(torch.tensor(numbers, dtype=dtype), device)
