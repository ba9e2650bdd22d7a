"""In half precision nothing overflows: attention whose scores do is computed in float32, as Stable Diffusion 2 asks."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from retouch.run.executor import run
from retouch.testing.worlds import World, tiny_world
from retouch_methods.attend.p2p import p2p
from retouch_methods.guide.cfg import cfg
from retouch_methods.invert.ddim import ddim
from retouch_methods.invert.null_text import null_text
from retouch_methods.mask.attention import attention
from retouch_methods.sample.sample import sample
from tests.gpu.device import DEVICE

pytestmark = pytest.mark.gpu
LOUDER = 1000.0  # queries and keys of about 2 become some thousands: still float16, and their products no more


def loud(dtype: torch.dtype, upcast: bool) -> World:
    """A world whose queries and keys are so large that their products overflow float16."""
    made = tiny_world(steps=3, dtype=dtype, device=DEVICE, upcast_attention=upcast)
    for name, module in made.model.core.module.named_modules():
        if name.endswith(("to_q", "to_k")):
            module.weight.mul_(LOUDER)
    return replace(made, guidance=cfg(guidance=3.0))


def edited(world: World) -> list[torch.Tensor]:
    """An edit that reads and writes attention maps, one that differentiates through them, and a mask of them."""
    (trajectory,) = run(world.call(ddim, pinned="always"))
    (tuned,) = run(world.call(null_text, inner_steps=2, stop=0.0, stop_growth=0.0))
    (mask,) = run(world.call(attention, words=("cat",)))
    (controlled,) = run(world.call(sample, trajectory=trajectory, attend=(world.call(p2p),)))
    (steered,) = run(world.call(sample, trajectory=tuned))
    return [trajectory.states, tuned.states, mask.data, controlled.data, steered.data]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_upcast_attention_keeps_half_precision_finite(dtype):
    found = edited(loud(dtype, upcast=True))
    assert all(bool(torch.isfinite(each).all()) for each in found)


def test_it_would_overflow_without():
    found = edited(loud(torch.float16, upcast=False))
    assert not all(bool(torch.isfinite(each).all()) for each in found)
