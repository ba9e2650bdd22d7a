"""Model folders that several tests look at."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from diffusers import StableDiffusionPipeline
from safetensors.torch import load_file, save_file

from retouch.models.catalog import ModelInfo, find
from tests.models.getting import LICENCE
from tests.models.mutations import TEXT, UNET, VAE
from tests.models.tiny_folder import pipeline


@pytest.fixture(scope="session")
def oracle() -> StableDiffusionPipeline:
    """What diffusers makes of the same weights."""
    return pipeline()


@pytest.fixture(scope="session")
def saved(oracle: StableDiffusionPipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pipeline as diffusers saves it; not to be changed."""
    folder = tmp_path_factory.mktemp("saved")
    oracle.save_pretrained(folder)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    return Path(shutil.copytree(saved, tmp_path / "tiny"))


@pytest.fixture(scope="session")
def storybook() -> ModelInfo:
    """The model that ships with the engine."""
    return find("storybook")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Where models of a hub are kept."""
    return tmp_path / "cache"


@pytest.fixture
def repository(folder: Path) -> Path:
    """With all that real ones have beside what is needed."""
    (folder / "unet/diffusion_pytorch_model.bin").write_bytes(b"a pickle")
    (folder / "unet/diffusion_pytorch_model.non_ema.safetensors").write_bytes(b"too much")
    (folder / "v1-5-pruned.ckpt").write_bytes(b"a pickle")
    (folder / "v1-5-pruned.safetensors").write_bytes(b"all of it again")
    (folder / "evil.py").write_text("raise SystemExit")
    (folder / LICENCE).write_text("do no harm")
    (folder / "safety_checker").mkdir()
    (folder / "safety_checker/model.safetensors").write_bytes(b"not needed")
    (folder / "unet/diffusion_flax_model.msgpack").write_bytes(b"of another library")
    (folder / "images").mkdir()
    (folder / "images/cat.json").write_text("{}")
    for name in (UNET, VAE, TEXT):
        half = {key: tensor.half() for key, tensor in load_file(folder / name).items()}
        save_file(half, (folder / name).with_suffix(".fp16.safetensors"))
    return folder
