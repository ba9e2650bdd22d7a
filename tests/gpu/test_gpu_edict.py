"""EDICT's latents stay float64 on the device, whoever shares its calls, so that it comes back exactly."""

from __future__ import annotations

import pytest
import torch

from retouch.run.batching import Buckets
from retouch.run.executor import Executor
from retouch.run.task import Task
from retouch_methods.invert.ddim import ddim
from retouch_methods.invert.edict import edict
from retouch_methods.sample.sample import sample
from tests.gpu.device import DEVICE, DTYPES, world

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_edict_comes_back_exactly_while_it_shares_its_calls(dtype):
    """In calls of one size the network says the same on the way up and down; un-mixing would enlarge any difference."""
    here = world(dtype).null_edit()
    shared: list[int] = []
    executor = Executor(Buckets(fixed=16), lambda info: shared.append(info.tasks))
    inverted = Task(lambda: here.call(edict, strength=1.0))
    again = Task(lambda trajectory: here.call(sample, trajectory=trajectory), (inverted,))
    company = [Task(lambda i=i: here.neighbour(i).call(ddim)) for i in range(2)]
    late = Task(lambda _: here.neighbour(3).call(ddim), (inverted,))
    tasks = [inverted, *company, again, late]
    executor.run(tasks)
    assert [task.error for task in tasks] == [None] * 5
    states = inverted.result.states
    assert states.dtype == torch.float64
    assert states.device.type == DEVICE.type
    assert shared[0] == 3
    assert shared[8] == 2
    source = here.latents.data
    missed = (again.result.data.double() - source.double()).abs().max()
    assert missed <= (1e-6 if dtype == torch.float32 else torch.finfo(dtype).eps * source.abs().max())
