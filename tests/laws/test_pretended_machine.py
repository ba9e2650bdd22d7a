"""What a machine with a GPU may lack, or have more than one of, as a pretended one tells."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch

from retouch.cli.main import main
from retouch.models.network import fusing
from retouch.models.network.acceleration import Acceleration
from retouch.run.device import why_not
from retouch.run.executor import run
from retouch.testing.pretend.device import pretended
from retouch.testing.worlds import tiny_world


def test_where_triton_makes_no_kernels_norms_are_torchs_own():
    """It is not here, or finds no compiler, or no card that it knows: every call would fail for it."""
    fusing._makes_kernels.cache_clear()
    said = []
    with pretended() as device:
        for fused in (True, False):
            how = Acceleration(channels_last=True, fused_norms=fused)
            with pytest.warns(UserWarning, match="Triton makes no kernels here") if fused else nullcontext():
                world = tiny_world(steps=2, dtype=torch.bfloat16, device=device.name, acceleration=how)
            row = world.model(world.latents.data, world.schedule.steps[0].noisy, world.edit.source)
            said.append(run(row)[0].eps.cpu())
    assert torch.equal(*said)


def test_compiling_without_triton_is_refused_before_anything_is_read(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("retouch.cli.machine.find_spec", lambda name: None)
    with pretended():
        assert main(["run", "-e", "invert ddim", str(tmp_path / "nothere.png"), "--compile"]) == 2
    assert "--compile needs Triton" in capsys.readouterr().err


def test_a_device_is_here_by_its_number_and_what_is_no_device_is_not():
    with pretended(1):
        here = [
            name for name in ("cpu", "cuda", "cuda:0", "cuda:1", "cuda:2", "cuda:x", "disk", "") if not why_not(name)
        ]
    assert here == ["cpu", "cuda", "cuda:0", "cuda:1"]
