"""What tests of this folder start from."""

from __future__ import annotations

import pytest

from tests.e2e.sessions import stay_loaded


@pytest.fixture(scope="session", autouse=True)
def loaded() -> None:
    """The embedded model is loaded once."""
    stay_loaded("storybook")
