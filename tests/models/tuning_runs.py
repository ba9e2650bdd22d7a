"""Runs of recipes that tune, and the pixels that they made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from tests.e2e.command import retouch


def ran(recipe: str, folder: Path, *more: str) -> dict[str, object]:
    """What the run says at its end."""
    done = retouch("run", "-e", recipe, "--json", "--force", *more, folder=folder)
    assert done.code == 0, done.out + done.err
    return done.event("done")


def pixels(path: Path) -> np.ndarray:
    """[H, W, 3], without overflow where two are subtracted"""
    return np.asarray(Image.open(path).convert("RGB"), dtype=int)


def assert_read_is_fresh(folder: Path, plain: str) -> None:
    """What a tuning made is what its file made, bit for bit, and not what the model makes without it."""
    fresh, read, without = (pixels(folder / f"{name}.png") for name in ("fresh", "read", plain))
    assert (fresh == read).all()
    assert (fresh != without).any()
