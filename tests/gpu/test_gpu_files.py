"""Pictures go to the device as bytes and without waiting, and come back once; noise is the same on every device."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from retouch import pictures
from retouch.api import NoiseSource
from retouch.run.files.outbox import FileIn, as_bytes
from tests.gpu.cases import drawn
from tests.gpu.device import DEVICE, DTYPES, REHEARSED

pytestmark = pytest.mark.gpu


def test_a_picture_is_the_same_bits_on_every_device_and_comes_back_as_its_bytes(tmp_path):
    path = drawn(tmp_path, 33)
    read = pictures.read(path)
    pictures.write_mask(tmp_path / "mask.png", read.rgb[..., 0])
    image, mask = FileIn(DEVICE).image(path, 0), FileIn(DEVICE).area(str(tmp_path / "mask.png"), None, 33, 33)
    colours = torch.from_numpy(read.rgb.astype(np.float32) / 255).permute(2, 0, 1)
    grey = torch.from_numpy(read.rgb[..., 0].astype(np.float32) / 255)
    assert {each.device.type for each in (image.data, image.alpha, mask.data)} == {DEVICE.type}
    assert torch.equal(image.data.cpu(), colours)
    assert torch.equal(mask.data.cpu(), grey)
    assert (as_bytes(image.data.permute(1, 2, 0)) == read.rgb).all()
    assert (as_bytes(image.alpha) == read.alpha).all()


class Copies(TorchDispatchMode):
    """The element type of whatever is copied from one device to another."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[torch.dtype] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if func is torch.ops.aten._to_copy.default and out.device.type != args[0].device.type:
            self.seen.append(args[0].dtype)
        return out


def test_only_bytes_are_copied(tmp_path):
    path = drawn(tmp_path, 33)
    with Copies() as copies:
        image = FileIn(DEVICE).image(path, 0)
        as_bytes(image.data.permute(1, 2, 0))
    assert copies.seen == ([] if REHEARSED else [torch.uint8] * 3)  # colours and alpha there, colours back


def test_reading_waits_for_nothing(tmp_path):
    path = drawn(tmp_path, 33)
    if not REHEARSED:
        torch.cuda.set_sync_debug_mode("error")
    try:
        assert FileIn(DEVICE).image(path, 0).data.shape == (3, 33, 33)
    finally:
        if not REHEARSED:
            torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_noise_is_the_same_on_every_device(dtype):
    here, there = (
        NoiseSource(3, "x").normal(2, torch.zeros(4, 8, 8, dtype=dtype, device=device)) for device in (DEVICE, "cpu")
    )
    assert torch.equal(here.cpu(), there)
