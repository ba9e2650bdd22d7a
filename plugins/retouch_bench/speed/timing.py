"""How long a call takes, by the device's own clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from statistics import median
from typing import NamedTuple

import torch

FEWEST, MOST = 3, 30  # repeats


class Timing(NamedTuple):
    """Seconds: of the very first call, of one in a row of them, and until one returns with the device still busy."""

    first: float
    each: float
    issue: float


def synchronize(device: torch.device) -> None:
    """Wait until the device has done all it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def clocked(call: Callable[[], object], device: torch.device) -> float:
    """Wall seconds of one call, to its end."""
    synchronize(device)
    began = time.perf_counter()
    call()
    synchronize(device)
    return time.perf_counter() - began


def timing(call: Callable[[], object], device: torch.device, seconds: float = 0.3, warm: int = 3) -> Timing:
    """Median over as many repeats as fit in about `seconds`, after a first call and `warm` more."""
    first = clocked(call, device)
    for _ in range(warm - 1):
        call()
    once = clocked(call, device)
    repeats = min(MOST, max(FEWEST, int(seconds / max(once, 1e-6))))
    return Timing(first, median(_times(call, device, repeats)), median(_issues(call, device, FEWEST)))


def _times(call: Callable[[], object], device: torch.device, repeats: int) -> list[float]:
    """Seconds of each of some calls that follow one another without a pause."""
    if device.type != "cuda":
        return [clocked(call, device) for _ in range(repeats)]
    marks = [torch.cuda.Event(enable_timing=True) for _ in range(repeats + 1)]
    synchronize(device)
    marks[0].record()
    for mark in marks[1:]:
        call()
        mark.record()
    synchronize(device)
    return [before.elapsed_time(after) / 1e3 for before, after in pairwise(marks)]


def _issues(call: Callable[[], object], device: torch.device, repeats: int) -> list[float]:
    """Seconds until each of some calls returns, the device idle before it."""
    found: list[float] = []
    for _ in range(repeats):
        synchronize(device)
        began = time.perf_counter()
        call()
        found.append(time.perf_counter() - began)
    synchronize(device)
    return found
