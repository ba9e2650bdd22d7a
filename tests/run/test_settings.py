"""What a device is good for follows from the settings alone."""

from __future__ import annotations

import pytest

from retouch.models.network.acceleration import EAGER
from retouch.models.network.fusing import can_fuse
from retouch.run.settings import Settings


@pytest.mark.parametrize("settings", [Settings(), Settings("mps", "float16"), Settings("cpu", compiled=True)])
def test_only_cuda_is_accelerated(settings):
    assert settings.acceleration == EAGER


@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_on_cuda_passes_are_captured_and_half_precision_has_fused_norms(device):
    half, single = (Settings(device, dtype).acceleration for dtype in ("bfloat16", "float32"))
    assert half.graphs
    assert single.graphs
    assert half.fused_norms == half.channels_last == can_fuse()
    assert not single.fused_norms
    assert not single.channels_last


def test_a_compiled_network_fuses_by_itself():
    compiled = Settings("cuda", "bfloat16", compiled=True).acceleration
    assert compiled.compiled
    assert compiled.graphs
    assert not compiled.fused_norms
