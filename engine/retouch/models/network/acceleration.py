"""How a network is evaluated on an accelerator: the same arithmetic by other kernels, with fewer launches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from retouch.models.vae_tiles import Tiling


@dataclass(frozen=True, slots=True)
class Acceleration:
    """Choices that change speed, and results by no more than rounding.

    channels_last: convolutions see [rows, h, w, C] in memory, as tensor cores want it.
    fused_norms: group normalisation and the SiLU after it by Triton; for channels_last in half precision.
    compiled: the network is compiled by torch.compile, once for each number of rows; takes a minute each.
    graphs: launches are captured once for each number of rows as a CUDA graph, and replayed.
    vae_tiling: whether the VAE sees pictures in tiles: "auto" does where they are much larger than the model's own.
    attention: the kernels of attention: "auto" is torch's choice, "cudnn" prefers cuDNN's.
    """

    channels_last: bool = False
    fused_norms: bool = False
    compiled: bool = False
    graphs: bool = False
    attention: Literal["auto", "cudnn"] = "auto"
    vae_tiling: Tiling = "auto"


EAGER = Acceleration()
