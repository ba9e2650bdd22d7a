"""Model folders that several tests look at."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from diffusers import StableDiffusionPipeline

from retouch.models.catalog import ModelInfo, find
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
