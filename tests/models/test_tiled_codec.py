"""A VAE in tiles: near to what it makes of whole pictures, in the memory of one tile."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from torch import Tensor

import retouch_storybook
from retouch.api import call, value_and_grad
from retouch.models.kit.codecs import VaeCodec
from retouch.models.kit.tiled_codec import TiledCodec
from retouch.models.network.acceleration import Acceleration
from retouch.models.network.fusing import fuse_norms
from retouch.models.vae_tiles import VaeTiles
from retouch.run.loaded.base_weights import modules_of
from retouch.run.settings import Settings
from retouch.run.strangers.care import copied
from retouch.testing.laws.memory import living
from retouch.testing.laws.running import run_one
from retouch_bench.metrics import psnr
from retouch_storybook.world import Scene, render

SIDE, TILE = 160, 64


@pytest.fixture(scope="module")
def codec() -> VaeCodec:
    folder = Path(retouch_storybook.__file__).parent / "weights" / "vae"
    vae = AutoencoderKL.from_pretrained(folder, low_cpu_mem_usage=False, torch_dtype=torch.float32).eval()
    return VaeCodec(vae.requires_grad_(False), scale=4, multiple=16, side=64, factor=0.46)


@pytest.fixture(scope="module")
def picture() -> Tensor:
    drawn = np.asarray(render(Scene("cat", "orange", "in a meadow", seed=7), SIDE))
    return torch.from_numpy(drawn.copy()).permute(2, 0, 1).float() / 255


def tiled(codec: VaeCodec, tiling="on") -> TiledCodec:
    return TiledCodec(codec, VaeTiles(TILE, codec.side, tiling))


@torch.no_grad()
def test_tiles_come_to_what_the_whole_does_and_are_not_tinted(codec: VaeCodec, picture: Tensor) -> None:
    latents = codec.encode(picture[None])
    whole = codec.decode(latents)
    there = tiled(codec).encode(picture[None])
    assert there.shape == latents.shape
    everywhere = torch.ones(SIDE, SIDE, dtype=torch.bool)
    for made in (tiled(codec).decode(latents), codec.decode(there), tiled(codec).decode(there)):
        assert made.shape == whole.shape
        assert psnr(made[0], whole[0], everywhere) > 36
        assert (made - whole).mean((0, 2, 3)).abs().max() < 3 / 255
    rows = [torch.cat([codec.decode(part) for part in each.split(8, -1)], -1) for each in latents.split(8, -2)]
    by_themselves = psnr(torch.cat(rows, -2)[0], whole[0], everywhere)
    assert by_themselves < 30  # what the statistics of the whole picture are for


@torch.no_grad()
def test_no_border_of_tiles_is_seen(codec: VaeCodec, picture: Tensor) -> None:
    """What tiles change of the picture has no step, where they meet or elsewhere."""
    latents = codec.encode(picture[None])
    apart = (tiled(codec).decode(latents) - codec.decode(latents))[0]
    for axis in (1, 2):
        steps = apart.diff(dim=axis).abs().mean((0, 3 - axis))
        assert steps.max() < 4 / 255


@torch.no_grad()
def test_what_fits_into_a_tile_stays_the_codecs_own(codec: VaeCodec, picture: Tensor) -> None:
    small = picture[None, :, :TILE, :TILE]
    assert torch.equal(tiled(codec).encode(small), codec.encode(small))
    assert torch.equal(tiled(codec, "off").encode(picture[None]), codec.encode(picture[None]))
    auto = TiledCodec.of(codec, "auto")
    assert auto.tiles.side == 512
    assert torch.equal(auto.encode(picture[None]), codec.encode(picture[None]))
    assert not torch.equal(tiled(codec).encode(picture[None]), codec.encode(picture[None]))
    assert auto.factor == codec.factor


def test_what_surrounds_stages_sees_through_it_as_through_the_codec(codec: VaeCodec, picture: Tensor) -> None:
    """A stranger gets a copy of its own, whose modules and calls are the codec's; its weights are known."""
    for seen in (codec, tiled(codec)):
        assert [*modules_of(seen)] == [codec.vae]
        own = copied(seen)
        assert own is not seen
        assert own == seen
        assert own.vae is codec.vae
    own = copied(tiled(codec))
    assert own.inner is not codec
    with torch.no_grad():
        assert torch.equal(own.encode(picture[None]), tiled(codec).encode(picture[None]))


@pytest.mark.thorough
@torch.no_grad()
def test_what_fills_up_a_batch_costs_nothing(codec: VaeCodec, picture: Tensor) -> None:
    calls: list[int] = []
    handle = codec.vae.decoder.register_forward_hook(lambda *_: calls.append(1))
    try:
        latents = torch.randn(1, 4, 40, 40, generator=torch.Generator().manual_seed(0))
        alone = tiled(codec).decode(latents)
        once = len(calls)
        filled = tiled(codec).decode(latents.expand(8, -1, -1, -1))
    finally:
        handle.remove()
    assert len(calls) == 2 * once
    assert all(torch.equal(each, alone[0]) for each in filled)


@pytest.mark.thorough
@torch.no_grad()
def test_memory_is_that_of_a_tile(codec: VaeCodec) -> None:
    """Of a picture twice as high only the result takes more."""
    latents = torch.randn(1, 4, 40, 40, generator=torch.Generator().manual_seed(0))
    taken = [living(lambda part=part: tiled(codec).decode(part)) for part in (latents, latents.repeat(1, 1, 2, 1))]
    whole = [living(lambda part=part: codec.decode(part)) for part in (latents, latents.repeat(1, 1, 2, 1))]
    result = 4 * SIDE * SIDE  # numbers of the picture and of its weights
    assert taken[1] - taken[0] < 2.5 * result < whole[1] - whole[0]


@pytest.mark.thorough
def test_gradients_go_through_tiles(codec: VaeCodec) -> None:
    latents = torch.randn(4, 40, 40, generator=torch.Generator().manual_seed(1))
    target = torch.rand(3, SIDE, SIDE, generator=torch.Generator().manual_seed(2))

    def slope(seen: VaeCodec | TiledCodec) -> Tensor:
        async def loss(z: Tensor) -> Tensor:
            return (await call(seen.decode_freely, z) - target).square().mean()

        return run_one(value_and_grad(loss, latents)).grads[0]

    assert torch.cosine_similarity(slope(tiled(codec)).flatten(), slope(codec).flatten(), 0) > 0.8


@pytest.mark.parametrize("under", [False, True])
@pytest.mark.thorough
def test_gradients_through_tiles_have_their_bits_in_the_memory_of_a_tile(codec: VaeCodec, monkeypatch, under) -> None:
    """Of the latents, and of weights that stand in for the decoder's own."""
    latents = torch.randn(4, 40, 40, generator=torch.Generator().manual_seed(1))
    seen = tiled(codec)
    weights = {name: weight * 1.01 for name, weight in seen.decoder_weights.items()} if under else {}
    own = {name: weight.clone() for name, weight in codec.vae.named_parameters()}

    def slopes() -> tuple[tuple[Tensor, ...], int]:
        kept: dict[int, int] = {}

        def keep(tensor: Tensor) -> Tensor:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        async def loss(z: Tensor, *tensors: Tensor) -> Tensor:
            given = dict(zip(weights, tensors, strict=True))
            made = seen.decode_under(given, z[None]) if given else seen.decode_freely(z[None])
            return made.square().mean()

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            found = run_one(value_and_grad(loss, latents, *weights.values()))
        return found.grads, sum(kept.values())

    grads, least = slopes()
    monkeypatch.setattr(TiledCodec, "_again", lambda self, function, moments: function)
    whole, most = slopes()
    assert all(torch.equal(*pair) for pair in zip(grads, whole, strict=True))
    assert all(grad.any() for grad in grads[:1])
    assert least < most / 5
    assert all(torch.equal(own[name], weight) for name, weight in codec.vae.named_parameters())


@torch.no_grad()
def test_fused_norms_take_the_same_statistics(picture: Tensor) -> None:
    torch.manual_seed(3)
    config = {"block_out_channels": (8, 16), "norm_num_groups": 4, "latent_channels": 4, "sample_size": 32}
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}
    vae = AutoencoderKL(**config, **blocks).eval().requires_grad_(False)
    seen = tiled(VaeCodec(vae, scale=2, multiple=4, side=32))
    plain = seen.encode(picture[None])
    fuse_norms(vae)
    assert torch.allclose(seen.encode(picture[None]), plain, atol=1e-4)


def test_a_run_says_how_its_pictures_were_tiled() -> None:
    assert "vae_tiling" not in Settings().told
    assert Settings(vae_tiling="off").told["vae_tiling"] == "off"
    assert Settings(vae_tiling="on").acceleration == Acceleration(vae_tiling="on")
