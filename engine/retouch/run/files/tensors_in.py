"""Safetensors files that stages of plugins read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from retouch.core.declared.tensor_files import DAMAGED, UnfitFile
from retouch.core.device.transfer import upload
from retouch.models.errors import BrokenModel
from retouch.models.single_file import checked_header
from retouch.models.weights import read_as_stored


@dataclass(frozen=True, slots=True)
class TensorsIn:
    """Reads a file onto the device of a run."""

    device: torch.device

    def at(self, settings: Mapping[str, Any]) -> TensorsIn:
        """What a port is given."""
        return self

    def read(self, path: str) -> tuple[Mapping[str, str], Mapping[str, Tensor]]:
        """Metadata, and tensors as they are stored."""
        place = Path(path)
        try:
            header = checked_header(place)
            stored = read_as_stored(place, header.tensors)
        except BrokenModel as err:
            raise UnfitFile(str(err).replace(path, place.name), DAMAGED) from err
        broken = (name for name, each in stored.items() if each.is_floating_point() and not each.isfinite().all())
        if (name := next(broken, None)) is not None:
            raise UnfitFile(f"{name} holds numbers that are not finite", DAMAGED)
        return header.metadata, {name: upload(each, self.device) for name, each in stored.items()}
