"""Fused group normalisation: Triton's kernels come to what float64 does, row by row, and carry the same networks."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from retouch.models.network.acceleration import Acceleration
from retouch.models.network.fusing import FusedGroupNorm, fuse_norms
from retouch.run.batching import Buckets
from retouch.run.executor import run
from retouch_methods.invert.ddim import ddim
from tests.gpu.device import DEVICE, REHEARSED, far, world

pytestmark = pytest.mark.gpu
FUSED = Acceleration(channels_last=True, fused_norms=True, graphs=True)
SIZES = ((2, 320, 64, 64, 32), (3, 960, 32, 32, 32), (2, 2560, 8, 8, 32), (1, 96, 7, 5, 8), (1, 128, 200, 300, 32))
LIMITS = {torch.float16: 1e-3, torch.bfloat16: 8e-3}


def normal(rows, channels, height, width, groups, dtype):
    """Numbers far from zero, as residual streams have them, and a scale and shift for each channel."""
    draws = torch.Generator().manual_seed(channels)
    x = torch.randn(rows, channels, height, width, generator=draws) * 2 + 20
    norm = torch.nn.GroupNorm(groups, channels)
    torch.nn.init.normal_(norm.weight, generator=draws)
    torch.nn.init.normal_(norm.bias, generator=draws)
    frozen = norm.to(DEVICE, dtype).requires_grad_(False)  # as a network is; with gradients torch's own kernel runs
    return x.to(DEVICE, dtype).contiguous(memory_format=torch.channels_last), frozen


@pytest.mark.parametrize("dtype", LIMITS)
@pytest.mark.parametrize("silu", [False, True])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_fused_norm_is_the_norm_but_for_rounding(size, silu, dtype):
    x, norm = normal(*size, dtype)
    fused = FusedGroupNorm(norm, silu)(x)
    wanted = F.group_norm(x.double(), size[4], norm.weight.double(), norm.bias.double(), norm.eps)
    wanted = F.silu(wanted) if silu else wanted
    assert fused.is_contiguous(memory_format=torch.channels_last)
    assert far(fused, wanted) <= LIMITS[dtype]


@pytest.mark.thorough
def test_a_picture_may_have_more_blocks_of_pixels_than_a_grid_is_high():
    """65,536 at 2,048², which a decoder of Stable Diffusion XL works on whole; the last of them is normalised, too."""
    x, norm = normal(1, 8, 2048, 2048, 8, torch.bfloat16)
    fused = FusedGroupNorm(norm, silu=True)(x)
    wanted = F.silu(F.group_norm(x.float(), 8, norm.weight.float(), norm.bias.float(), norm.eps))
    for rows in (slice(0, 8), slice(-8, None)):
        assert far(fused[:, :, rows], wanted[:, :, rows]) <= LIMITS[torch.bfloat16]


def test_a_row_has_the_same_bits_in_any_batch():
    x, norm = normal(5, 320, 64, 64, 32, torch.bfloat16)
    fused = FusedGroupNorm(norm, silu=True)
    whole = fused(x)
    if REHEARSED:  # torch's own kernel on the CPU
        torch.testing.assert_close(fused(x[3:4]), whole[3:4])
    else:
        assert torch.equal(fused(x[3:4]), whole[3:4])


def test_a_fused_network_has_the_same_parameters_and_says_the_same():
    plain, fused = world(torch.bfloat16).model.core, world(torch.bfloat16, acceleration=FUSED).model.core
    assert list(fused.base) == list(plain.base)
    ask = [world(torch.bfloat16).neighbour(i) for i in range(3)]
    rows = [one.model(one.latents.data, one.schedule.steps[0].noisy, one.edit.source) for one in ask]
    same = [world(torch.bfloat16, acceleration=FUSED).neighbour(i) for i in range(3)]
    others = [one.model(one.latents.data, one.schedule.steps[0].noisy, one.edit.source) for one in same]
    for one, two in zip(run(*rows), run(*others), strict=True):
        assert far(two.eps, one.eps) <= 0.06


def test_every_silu_behind_a_norm_is_fused_and_none_is_lost():
    """In float32 the modules take torch's own kernels: only where a SiLU went missing would the network differ."""
    from retouch.testing.tiny import Draws, tiny_core

    plain, fused = tiny_core(device=DEVICE).module, tiny_core(device=DEVICE).module
    fuse_norms(fused)
    draws = Draws(4, device=DEVICE)
    given = torch.stack([draws.latents().data]), torch.tensor([500.0], device=DEVICE), draws.prompt().embeds[None]
    with torch.no_grad():
        one, two = (network(given[0], given[1], given[2]).sample for network in (plain, fused))
    torch.testing.assert_close(two, one)
    silent = [name for name, module in fused.named_modules() if isinstance(module, FusedGroupNorm) and module.silu]
    assert len(silent) == 2 * sum(name.endswith("conv1") for name, _ in fused.named_modules()) + 1


def test_fused_and_captured_jobs_have_the_same_bits_alone_and_in_company():
    def job(i):
        return world(torch.bfloat16, acceleration=FUSED).neighbour(i).call(ddim)

    exact = Buckets(fixed=8)
    for _ in range(2):  # eager first, then captured, then replayed
        run(job(9), buckets=exact)
    (alone,) = run(job(0), buckets=exact)
    among = run(*(job(i) for i in (3, 0, 5)), buckets=exact)[1]
    assert torch.equal(alone.states, among.states)
