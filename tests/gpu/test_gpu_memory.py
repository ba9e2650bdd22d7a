"""A call that runs out of memory is halved until it fits, and what failed is freed before its halves are tried."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from retouch.core.denoiser import Denoiser
from retouch.run.executor import Executor
from retouch.run.task import Task
from retouch_methods.invert.ddim import ddim
from tests.gpu.device import DEVICE, REHEARSED, far, world

pytestmark = pytest.mark.gpu
FITS, PICTURES, ROW = 2, 8, 64 * 1024**2
alive: list[int] = []


class Hoard(torch.Tensor):
    """Memory that counts itself."""

    def __del__(self) -> None:
        alive.pop()


class Scarce:
    """A core that takes memory for each row before it evaluates, and has enough for FITS rows."""

    def __init__(self, core) -> None:
        self.core, self.sites, self.base, self.held = core, core.sites, core.base, []

    def kernels(self, group):
        return self.core.kernels(group)

    def forward(self, groups, bucket):
        rows = sum(len(group.rows) for group in groups)
        self.held.append(len(alive))
        hoard = torch.empty(FITS * ROW // 2, dtype=torch.uint8, device=DEVICE).as_subclass(Hoard)
        alive.append(1)
        if REHEARSED:
            if rows > FITS:
                raise torch.OutOfMemoryError("out of memory")
        else:
            torch.empty(rows * ROW, dtype=torch.uint8, device=DEVICE)
        answer = self.core.forward(groups, bucket)
        del hoard
        return answer


def test_a_call_that_runs_out_of_memory_is_halved_until_it_fits():
    here = world()
    core = Scarce(here.model.core)
    scarce = replace(here, model=Denoiser(core))
    plain, tight = ([Task(lambda i=i, w=w: w.neighbour(i).call(ddim)) for i in range(PICTURES)] for w in (here, scarce))
    Executor().run(plain)
    executor = Executor()
    if not REHEARSED:
        torch.cuda.empty_cache()
        total = torch.cuda.get_device_properties(DEVICE).total_memory
        room = torch.cuda.memory_reserved() + (FITS + FITS / 2 + 1) * ROW
        torch.cuda.set_per_process_memory_fraction(room / total)
    try:
        executor.run(tight)
    finally:
        if not REHEARSED:
            torch.cuda.set_per_process_memory_fraction(1.0)
    assert [task.error for task in tight] == [None] * PICTURES
    assert max(info.rows for info in executor.calls) == FITS
    assert max(core.held) == 0  # nothing of a failed call is alive when its halves are tried
    for one, two in zip(plain, tight, strict=True):
        assert far(two.result.states, one.result.states) <= 1e-4
