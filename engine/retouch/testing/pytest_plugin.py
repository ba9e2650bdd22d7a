"""Fixtures for tests of plugins; pytest finds them through the entry point `pytest11`, and nothing else is loaded.

from my_plugin import my_mask

def test_it_keeps_the_laws(stage_laws):
    stage_laws(my_mask, threshold=0.5)
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture(scope="session")
def stage_laws() -> Callable[..., list[str]]:
    """Hold a stage to all laws of its family: `stage_laws(stage, world=None, **options)`."""
    from retouch.testing import laws

    return laws.stage_laws


@pytest.fixture(scope="session")
def family_laws() -> Callable[..., Any]:
    """Hold a family of models to its laws: `family_laws(FAMILY, folder)`, a small model in the diffusers layout."""
    from retouch.testing import laws

    return laws.family_laws


@pytest.fixture(scope="session")
def device_law() -> Callable[..., None]:
    """Hold a stage to what a GPU wants of it, on a pretended one: `device_law(stage, **options)`."""
    from retouch.testing import laws

    return laws.device_law


@pytest.fixture(scope="session")
def worlds() -> ModuleType:
    """What stages are tried in: `worlds.tiny_world(steps=4)`, `worlds.gaussian_world()`."""
    from retouch.testing import worlds

    return worlds
