"""Pictures that several tests look at."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tests.pictures.picture_makers import noise


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """An ordinary picture."""
    path = tmp_path / "photo.png"
    Image.fromarray(noise(30, 40)).save(path)
    return path
