"""What every section is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch

from retouch_bench.speed.budget import Budget
from retouch_bench.speed.ceilings import Ceilings
from retouch_bench.speed.counting import CountedWork
from retouch_bench.speed.report import SpeedReport
from retouch_bench.speed.shapes import Shape


@dataclass
class Setting:
    """Where and what to measure, how much of it, and what the sections before have found.

    scratch: a folder for models, pictures and results, which goes when all is done.
    repeat: seconds of repeats behind one figure.
    """

    device: torch.device
    dtype: torch.dtype
    shape: Shape
    toy: bool
    budget: Budget
    report: SpeedReport
    scratch: Path
    ceilings: dict[torch.dtype, Ceilings] = field(default_factory=dict[torch.dtype, Ceilings])
    work: Mapping[str, CountedWork] = field(default_factory=dict[str, CountedWork])

    @property
    def repeat(self) -> float:
        return 0.01 if self.toy else 0.3

    @property
    def half(self) -> torch.dtype:
        """A half precision besides the one that is measured whole."""
        return torch.float16 if self.dtype == torch.bfloat16 else torch.bfloat16

    def floor(self, part: str, rows: int, dtype: torch.dtype | None = None) -> float | None:
        """Least seconds of one call of a part with so many rows; None where ceilings or counts are missing."""
        most = self.ceilings.get(dtype or self.dtype)
        return self.work[part].seconds(rows, most) if most and part in self.work else None

    def of_floor(self, floor: float | None, seconds: float) -> float | None:
        """The floor as a share of what it took."""
        return floor / seconds if floor is not None else None


def name_of(dtype: torch.dtype) -> str:
    """As `--dtype` takes it."""
    return str(dtype).removeprefix("torch.")
