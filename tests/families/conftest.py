"""A tiny model of each family, built once and loaded once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch

from tests.families.family_models import FamilyModel
from tests.families.tiny_families import FAMILIES, build

torch.set_num_threads(1)  # the networks are tiny, and bits must not depend on how many cores are free


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a family's model; not to be changed."""
    home = tmp_path_factory.mktemp("families")
    return cache(lambda name: build(name, home / name))


@pytest.fixture(scope="session")
def model_of(folder_of: Callable[[str], Path]) -> Callable[[str], FamilyModel]:
    """A family's model, loaded in float32."""
    return cache(lambda name: FamilyModel(name, folder_of(name)))


@pytest.fixture(params=FAMILIES)
def model(request: pytest.FixtureRequest, model_of: Callable[[str], FamilyModel]) -> FamilyModel:
    """Each family's model in turn."""
    return model_of(request.param)
