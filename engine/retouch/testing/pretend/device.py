"""Tensors that say they are on a GPU, and hold the CPU's numbers.

    with pretended() as device:
        world = tiny_world(device=device.name)
        ...
    assert not device.waits

Operations that would mix host and device raise what CUDA raises; where the host would wait for the device, that is
noted with the place in the code.  Kernels, their rounding and their speed are the CPU's.
"""

# What it takes apart are names that torch does not tell its types of.
# pyright: reportAttributeAccessIssue=false, reportIncompatibleMethodOverride=false, reportPrivateImportUsage=false

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures.thread import _WorkItem as Work
from contextlib import contextmanager
from typing import Any

from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from retouch.testing.pretend.cuda import answering
from retouch.testing.pretend.memory import LivingMemory
from retouch.testing.pretend.naming import called
from retouch.testing.pretend.noting import PretendedDevice, devices
from retouch.testing.pretend.tensors import perform


class _Factories(TorchDispatchMode):
    """Tensors that torch itself makes, on the way, for an operation of the device."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return perform(func, args, kwargs or {})


class _Calls(TorchFunctionMode):
    """Whatever is called with a device's name."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        return called(func, args, kwargs or {})


@contextmanager
def pretended(index: int = 0, room: int | None = None) -> Iterator[PretendedDevice]:
    """Let "cuda" name the pretended device, in this thread and those of pools, as long as this lasts.

    index: its number among several GPUs.  room: bytes of its memory; without, it has no end.
    """
    device, plain = PretendedDevice(index=index, memory=None if room is None else LivingMemory(room)), Work.run

    def there(work: Any) -> None:
        with _Calls(), _Factories():
            plain(work)

    devices.append(device)
    Work.run = there
    try:
        with answering(device), _Calls(), _Factories():
            yield device
    finally:
        Work.run = plain
        devices.pop()
