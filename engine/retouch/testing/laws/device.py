"""That a stage works on a GPU, told on a machine without one."""

from __future__ import annotations

from typing import Any

from retouch.testing.laws.conduct import count_rows, effect
from retouch.testing.laws.running import Stage
from retouch.testing.pretend.device import pretended
from retouch.testing.worlds import tiny_world


def device_law(stage: Stage, **given: Any) -> None:
    """On a GPU nothing is mixed with tensors of the host, and no picture waits for another's numbers.

    The GPU is pretended: kernels and their rounding are the CPU's.

    given: options of the stage; ports that are given must hold no tensors, for those are the host's.
    """
    with pretended() as device:
        world = tiny_world(steps=2, device=device.name)
        count_rows(lambda: world.call(stage, **given))
        effect(world, stage, given)
    waits = device.in_ticks
    assert not waits, (
        f"all pictures would wait for the GPU: {waits[0]}; bring what hangs on values by `await on_host(…)`, "
        "and numbers of the host to the device by `upload` or `upload_numbers`"
    )
