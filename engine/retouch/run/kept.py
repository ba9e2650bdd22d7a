"""Models that stay loaded from one run to the next."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from retouch.models.info import ModelInfo
    from retouch.run.machine import Machine


class KeptMachines:
    """Makes a machine for `execute`, or gives the one of a run before.  Pickled or copied, it comes out empty.

    lock: to be held while running, since a machine does one run at a time.
    """

    def __init__(self) -> None:
        self.lock = Lock()
        self._machines: dict[tuple[str, str, torch.dtype], Machine] = {}

    def __reduce__(self) -> tuple[type[KeptMachines], tuple[()]]:
        return KeptMachines, ()

    def __call__(self, model: ModelInfo, device: str, dtype: torch.dtype) -> Machine:
        """The machine of these weights, wherever they lie."""
        from retouch.run.machine import Machine

        key = model.digest, device, dtype
        if key not in self._machines:
            self._machines[key] = Machine(model, device, dtype)
        return self._machines[key]
