"""CycleDiffusion between two models that were trained apart: the one records the noise, the other samples it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import retouch
from tests.families.family_models import FamilyModel

SIDE = 16


@pytest.fixture(scope="module")
def pair(model_of: Callable[[str], FamilyModel], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folders of one shape, cats and dogs, whose weights differ, and a picture."""
    place = tmp_path_factory.mktemp("domains")
    for name, shift in (("cats", 0.0), ("dogs", 0.5)):
        shutil.copytree(model_of("ddpm").folder, place / name)
        (file,) = (place / name / "unet").glob("*.safetensors")
        tensors = load_file(file)
        save_file({key: each + shift * each.abs().mean() for key, each in tensors.items()}, file)  # all of it
    noise = torch.rand(SIDE, SIDE, 3, generator=torch.Generator().manual_seed(1))
    Image.fromarray((noise * 255).byte().numpy()).save(place / "one.png")
    return place


def made(pair: Path, other: str, inversion: str = "cycle_diffusion") -> tuple[np.ndarray, int]:
    walk = f'invert {inversion} steps=6 strength=50% | model "{pair}/{other}" | sample'
    text = f'model "{pair}/cats"\nopen "one.png" | {walk}'
    result = retouch.recipe(text, pair)()
    return np.asarray(result.image).astype(int), result.cost


@pytest.mark.thorough
def test_the_same_model_gives_the_picture_back_and_another_one_translates_it(pair: Path) -> None:
    source = np.asarray(Image.open(pair / "one.png")).astype(int)
    kept, rows = made(pair, "cats")
    moved, other_rows = made(pair, "dogs")
    np.testing.assert_allclose(kept, source, rtol=0, atol=1)
    assert rows == other_rows == 3 + 3
    assert np.abs(moved - source).max() > 1
    free, _ = made(pair, "dogs", "sdedit")
    assert np.abs(moved - source).mean() < np.abs(free - source).mean()  # what was recorded holds it


def test_a_mask_keeps_the_rest(pair: Path) -> None:
    text = (
        f'model "{pair}/cats"\nopen "one.png" | mask box left=50% | invert cycle_diffusion steps=6 strength=50% '
        f'| model "{pair}/dogs" | blend latent | blend pixel'
    )
    source, found = np.asarray(Image.open(pair / "one.png")), np.asarray(retouch.recipe(text, pair)().image)
    assert (found[:, : SIDE // 2] == source[:, : SIDE // 2]).all()
    assert (found[:, SIDE // 2 :] != source[:, SIDE // 2 :]).any()
