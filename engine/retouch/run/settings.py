"""How to run: device, precision, sizes of calls; no part of what to do."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from retouch.core.device.repeatable import EXACT_THREADS
from retouch.graph.limits import EXACT_ROWS
from retouch.models.network.acceleration import Acceleration
from retouch.models.network.fusing import can_fuse
from retouch.models.vae_tiles import Tiling
from retouch.run.batching import Buckets
from retouch.run.rounding import rounding_of


@dataclass(frozen=True, slots=True)
class Settings:
    """How to run, which is no part of what to do.

    exact: every call has one fixed number of rows, and the CPU works on it with one thread, so that a result is
        the same bits alone or among others, on few cores or many.
    compiled: the network is compiled first; worth its minute where many pictures follow.  On CUDA alone.
    threads: among which the CPU divides a calculation; 0 for the usual number, which in exact mode is one.
    vae_tiling: whether the VAE sees pictures in tiles, in the memory of one; "auto" does where they are large.
    """

    device: str = "cpu"
    dtype: str = "float32"
    exact: bool = False
    compiled: bool = False
    threads: int = 0
    vae_tiling: Tiling = "auto"

    @property
    def threads_used(self) -> int:
        """Among which the CPU divides a calculation."""
        return self.threads or (EXACT_THREADS if self.exact else torch.get_num_threads())

    @property
    def buckets(self) -> Buckets:
        """The sizes of calls."""
        return Buckets(fixed=EXACT_ROWS) if self.exact else Buckets()

    @property
    def told(self) -> dict[str, str]:
        """What a run so set adds to what its results say of themselves."""
        how = {"device": self.device, "dtype": self.dtype, "mode": "exact" if self.exact else "fast"}
        how |= {"rounding": rounding_of(self.device)}
        if self.device == "cpu":
            how["threads"] = str(self.threads_used)
        how |= {"compiled": "yes"} if self.compiled else {}
        return how | ({} if self.vae_tiling == "auto" else {"vae_tiling": self.vae_tiling})

    @property
    def acceleration(self) -> Acceleration:
        """What the device is good for."""
        if not self.device.startswith("cuda"):
            return Acceleration(vae_tiling=self.vae_tiling)
        if self.compiled:
            return Acceleration(channels_last=True, compiled=True, graphs=True, vae_tiling=self.vae_tiling)
        fused = can_fuse() and self.dtype != "float32"
        return Acceleration(channels_last=fused, fused_norms=fused, graphs=True, vae_tiling=self.vae_tiling)
