"""Devices: which there are, and which a run takes when nobody says."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager, nullcontext

_NAMES = re.compile(r"cpu|mps|cuda(:\d+)?")


def best_device() -> str:
    """Name the fastest device there is: "cuda", else "cpu"."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def working_on(device: str) -> AbstractContextManager[object]:
    """Let a GPU be the current one: streams, captured graphs and Triton's kernels are of that, wherever tensors lie."""
    import torch

    return torch.cuda.device(device) if device.startswith("cuda") else nullcontext()


def why_not(device: str) -> str:
    """Say why nothing can run on a device of this name; empty if something can.  Loads torch unless it is the CPU."""
    if not _NAMES.fullmatch(device):
        return f"no device is called '{device}'; there are cpu, cuda, cuda:1 and so on, and mps"
    if device == "cpu":
        return ""
    import torch

    if device == "mps":
        here = torch.backends.mps.is_available()
    else:
        here = int(device.partition(":")[2] or 0) < torch.cuda.device_count()
    return "" if here else f"this machine has no device '{device}'"
