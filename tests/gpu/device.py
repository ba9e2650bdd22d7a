"""Where these tests run: on the GPU, or rehearsed on the CPU with RETOUCH_GPU_REHEARSE=cpu."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import cache

import torch

from retouch.models.network.acceleration import EAGER, Acceleration
from retouch.testing.worlds import World, tiny_world
from retouch_methods.guide.cfg import cfg

REHEARSED = os.environ.get("RETOUCH_GPU_REHEARSE") == "cpu"
DEVICE = torch.device("cpu" if REHEARSED else "cuda")
READY = REHEARSED or torch.cuda.is_available()
# A CPU has no kernels for float16 to speak of, and the lines are those of bfloat16.
DTYPES = (torch.float32, torch.bfloat16) if REHEARSED else (torch.float32, torch.float16, torch.bfloat16)


@cache
def world(
    dtype: torch.dtype = torch.float32, device: torch.device = DEVICE, acceleration: Acceleration = EAGER
) -> World:
    """One picture, guided at 3, in four steps: the same but for rounding on every device."""
    made = tiny_world(steps=4, dtype=dtype, device=device, acceleration=acceleration)
    return replace(made, guidance=cfg(guidance=3.0))


def far(found: torch.Tensor, wanted: torch.Tensor) -> float:
    """Distance, in units of what is wanted."""
    there, here = wanted.double().cpu(), found.double().cpu()
    return float((here - there).norm() / there.norm().clamp_min(1e-12))
