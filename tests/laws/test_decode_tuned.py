"""A decoder tuned to one picture: the background comes back, and the model's own weights stay."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from PIL import Image
from torch import Tensor

import retouch
import retouch_storybook
from retouch.api import Canvas, Latents, Mask, SourceImage
from retouch.models.kit.codecs import VaeCodec
from retouch.models.kit.pixels import PixelCodec
from retouch.models.kit.tiled_codec import TiledCodec
from retouch.testing.laws import stage_laws
from retouch.testing.laws.running import ended
from retouch_bench.metrics import psnr
from retouch_methods.decode.tuned import tuned
from retouch_storybook.world import Scene, render

ROUNDS = 3


@pytest.fixture(scope="module")
def codec() -> TiledCodec:
    folder = Path(retouch_storybook.__file__).parent / "weights" / "vae"
    vae = AutoencoderKL.from_pretrained(folder, low_cpu_mem_usage=False, torch_dtype=torch.float32).eval()
    return TiledCodec.of(VaeCodec(vae.requires_grad_(False), scale=4, multiple=16, side=64, factor=0.46))


@pytest.fixture(scope="module")
def edit(codec: TiledCodec) -> dict[str, object]:
    """The cat with the dog's latents in a box, as a blend leaves them."""
    cat, dog = (drawn(subject) for subject in ("cat", "dog"))
    area = torch.zeros(64, 64)
    area[16:48, 16:48] = 1
    with torch.no_grad():
        inner, outer = (codec.encode(each[None])[0] for each in (dog, cat))
    cells = torch.nn.functional.max_pool2d(area[None, None], 4)[0]
    latents = Latents(torch.lerp(outer, inner, cells), Canvas(64, 64, 4))
    return {"latents": latents, "source": SourceImage(cat), "mask": Mask(area), "codec": codec}


def drawn(subject: str) -> Tensor:
    found = np.asarray(render(Scene(subject, "orange", "in a meadow", seed=7), 64)).copy()
    return torch.from_numpy(found).permute(2, 0, 1).float() / 255


@pytest.mark.parametrize("tune", ["weights", "latents"])
def test_it_keeps_the_laws(tune: str) -> None:
    stage_laws(tuned, rounds=2, tune=tune)


def test_a_model_of_pixels_is_searched_at_the_pace_of_latents(edit) -> None:
    """It has no decoder to tune, so that both ways are one; at the pace of weights nothing would be seen."""
    pixels = PixelCodec(multiple=8, side=64)
    mask = edit["mask"]
    latents = Latents(torch.zeros(3, 64, 64), Canvas(64, 64, 1))
    given = {"latents": latents, "source": edit["source"], "mask": mask, "codec": pixels}
    made = {tune: ended(tuned(**given, rounds=4, tune=tune)).data for tune in ("weights", "latents")}
    assert torch.equal(made["weights"], made["latents"])
    outside = mask.data == 0
    far = [
        (each - edit["source"].data)[:, outside].abs().mean() for each in (pixels.decode(latents.data), made["weights"])
    ]
    assert far[1] < 0.6 * far[0]


@pytest.mark.thorough
def test_it_is_the_papers_loop_and_the_models_weights_stay_to_the_bit(codec: TiledCodec, edit) -> None:
    """Section 4.2 by torch's own Adam on a copy of the decoder."""
    before = {name: each.clone() for name, each in codec.inner.vae.named_parameters()}
    made = ended(tuned(**edit, rounds=ROUNDS)).data
    assert all(torch.equal(each, before[name]) for name, each in codec.inner.vae.named_parameters())

    vae = deepcopy(codec.inner.vae)
    weights = [*vae.decoder.parameters(), *vae.post_quant_conv.parameters()]
    adam = torch.optim.Adam([each.requires_grad_() for each in weights], lr=1e-4)
    z, area, source = edit["latents"].data[None] / 0.46, edit["mask"].data, edit["source"].data
    with torch.no_grad():
        plain = (vae.decode(z).sample / 2 + 0.5).clamp(0, 1)
    for _ in range(ROUNDS):
        adam.zero_grad()
        out = vae.decode(z).sample / 2 + 0.5
        loss = (area * (out - plain)).square().mean() + 100 * ((1 - area) * (out - source)).square().mean()
        loss.backward()
        adam.step()
    with torch.no_grad():
        wanted = (vae.decode(z).sample / 2 + 0.5).clamp(0, 1)[0]
    torch.testing.assert_close(made, wanted, rtol=0, atol=2e-3)


@pytest.mark.parametrize("tune", ["weights", "latents"])
def test_the_background_comes_nearer_and_the_inside_stays(codec: TiledCodec, edit, tune: str) -> None:
    with torch.no_grad():
        plain = codec.decode(edit["latents"].data[None])[0]
    made = ended(tuned(**edit, rounds=8, tune=tune, lr=1e-3 if tune == "weights" else 0.02)).data
    outside, source = edit["mask"].data == 0, edit["source"].data
    assert psnr(made, source, outside) > psnr(plain, source, outside) + 0.5
    assert psnr(made, plain, ~outside) > 28


def test_no_round_is_the_plain_decoder(codec: TiledCodec, edit) -> None:
    with torch.no_grad():
        plain = codec.decode(edit["latents"].data[None])[0]
    assert torch.allclose(ended(tuned(**edit, rounds=0)).data, plain, atol=1e-6)


def test_it_ends_its_turn_and_leaves_the_turns_mask_to_what_follows(tmp_path: Path) -> None:
    path = tmp_path / "cat.png"
    render(Scene("cat", "orange", "in a meadow", seed=7)).save(path)
    edit = 'mask box left=50% | invert sdedit "cat"->"dog" strength=40% steps=5 | blend latent | decode tuned rounds=2'
    made = retouch.recipe(f"{edit} | blend pixel", tmp_path)(path, caption="an orange cat in a meadow").image
    before, after = (np.asarray(each.convert("RGB")) for each in (Image.open(path), made))
    moved = (before != after).any(-1)
    assert moved[:, 32:].mean() > 0.3
    assert not moved[:, :32].any()
