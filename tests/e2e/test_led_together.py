"""Shipped recipes in which gradients lead beside inversions, controls and masks of other systems."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from retouch.paths import folder
from retouch.run.session import execute
from tests.e2e.sessions import INSTALLED, KEPT, graphs

CAT = folder("recipes") / "pictures" / "cat_meadow.png"
MASK = r"(?s)\| mask (?!.*\| mask )[^|]*|^mask [^|]*"  # the last one, on whose heels it is written
JOINED = ("show_edict_led", "show_null_text_direction", "show_structure_p2p_direction", "blended_latents")


@pytest.mark.parametrize("name", JOINED)
def test_what_is_led_in_a_mask_changes_no_byte_outside_of_it(name, tmp_path):
    text = re.sub(r"(?m)^#.*\n", "", (folder("recipes") / f"{name}.retouch").read_text())
    text = text.replace("defaults steps=25\n", "").replace("seeds=8", "seeds=2")
    text, masks = re.subn(MASK, r'\g<0> | save mask "mask.png" ', text)
    assert masks == 1
    source = np.asarray(Image.open(CAT).convert("RGB"))
    made = edited(text, tmp_path / "made")
    outside = np.asarray(Image.open(tmp_path / "made" / "mask.png").convert("L")) == 0
    assert 0.1 < outside.mean() < 0.97
    assert np.array_equal(made[outside], source[outside])
    assert not np.array_equal(made[~outside], source[~outside])


def edited(text: str, here: Path) -> np.ndarray:
    """The shipped cat, by a recipe of so many words, in three steps."""
    here.mkdir()
    for each in (CAT, CAT.with_suffix(".txt")):
        shutil.copy(each, here)
    told: dict[str, Any] = {} if "steps=25" in text else {"steps": 3}
    made = graphs(f'{text.replace("steps=25", "steps=3")} | save "made.png"', [here / CAT.name], here, **told)
    (outcome,) = execute(made, registry=INSTALLED, machine=KEPT).outcomes
    assert not outcome.failures, outcome.failures
    return np.asarray(Image.open(here / "made.png").convert("RGB"))
