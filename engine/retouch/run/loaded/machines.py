"""The models of one run, each loaded once for all the pictures that name it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from retouch.models.info import ModelInfo
from retouch.models.network.acceleration import Acceleration
from retouch.run.loaded.loaded_model import Machine
from retouch.run.settings import Settings

MakeMachine = Callable[[Any, str, torch.dtype, Acceleration], Machine]

_DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16, "float64": torch.float64}


@dataclass(slots=True)
class Machines:
    """Makes models ready to run.  make: how, for those without LoRA files beside them."""

    settings: Settings
    make: MakeMachine
    made: dict[str, Machine] = field(default_factory=dict[str, Machine])  # by digest

    def of(self, model: ModelInfo) -> Machine:
        """The machine of these weights."""
        if model.digest not in self.made:
            place = self.settings.device, _DTYPES[self.settings.dtype], self.settings.acceleration
            if model.plain:  # weights are loaded once for all that stands beside them
                self.made[model.digest] = Machine(model, *place, self.of(model.plain))
            else:
                self.made[model.digest] = self.make(model, *place)
        return self.made[model.digest]

    def restore(self, modules: Sequence[nn.Module]) -> None:
        """Load again what a stranger's stage has written into."""
        for machine in self.made.values():
            machine.restore(modules)
