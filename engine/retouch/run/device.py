"""The device that a run takes when nobody says which."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


def best_device() -> str:
    """Name the fastest device there is: "cuda", else "cpu"."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def working_on(device: str) -> AbstractContextManager[object]:
    """Let a GPU be the current one: streams, captured graphs and Triton's kernels are of that, wherever tensors lie."""
    return torch.cuda.device(device) if device.startswith("cuda") else nullcontext()
