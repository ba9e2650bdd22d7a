"""Models that stay loaded from one run to the next, once in the process however many keep them."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    import torch

    from retouch.models.info import ModelInfo
    from retouch.models.network.acceleration import Acceleration
    from retouch.run.loaded.loaded_model import Machine

    Key = tuple[str, str, torch.dtype, Acceleration]

_alive: WeakValueDictionary[Key, Machine] = WeakValueDictionary()
_making = Lock()


class KeptMachines:
    """Makes a machine for `execute`, or gives one that another run has made; it goes with the last that keeps it.

    Pickled, it comes out empty.
    """

    def __init__(self) -> None:
        self._mine: dict[Key, Machine] = {}

    def __reduce__(self) -> tuple[type[KeptMachines], tuple[()]]:
        return KeptMachines, ()

    def __call__(self, model: ModelInfo, device: str, dtype: torch.dtype, acceleration: Acceleration) -> Machine:
        """The machine of these weights, wherever they lie."""
        from retouch.run.loaded.loaded_model import Machine

        key = model.digest, device, dtype, acceleration
        with _making:
            machine = _alive.get(key) or Machine(model, device, dtype, acceleration)
            self._mine[key] = _alive[key] = machine
        return machine
