"""How to run: device, precision, sizes of calls; no part of what to do."""

from __future__ import annotations

from dataclasses import dataclass

from retouch.graph.limits import EXACT_ROWS
from retouch.models.network.acceleration import EAGER, Acceleration
from retouch.models.network.fusing import can_fuse
from retouch.run.batching import Buckets


@dataclass(frozen=True, slots=True)
class Settings:
    """How to run, which is no part of what to do.

    exact: every call has one fixed number of rows, so that a result is the same bits alone or among others.
    compiled: the network is compiled first; worth its minute where many pictures follow.  On CUDA alone.
    """

    device: str = "cpu"
    dtype: str = "float32"
    exact: bool = False
    compiled: bool = False

    @property
    def buckets(self) -> Buckets:
        """The sizes of calls."""
        return Buckets(fixed=EXACT_ROWS) if self.exact else Buckets()

    @property
    def told(self) -> dict[str, str]:
        """What a run so set adds to what its results say of themselves."""
        how = {"device": self.device, "dtype": self.dtype, "mode": "exact" if self.exact else "fast"}
        return how | ({"compiled": "yes"} if self.compiled else {})

    @property
    def acceleration(self) -> Acceleration:
        """What the device is good for."""
        if not self.device.startswith("cuda"):
            return EAGER
        if self.compiled:
            return Acceleration(channels_last=True, compiled=True, graphs=True)
        fused = can_fuse() and self.dtype != "float32"
        return Acceleration(channels_last=fused, fused_norms=fused, graphs=True)
