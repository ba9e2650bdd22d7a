"""Pictures larger than the model, from their file to the result: tiles, stages of enlargement, painting again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import retouch
from retouch.graph.plan import plan
from retouch_storybook.world import Scene, render

CAT = Scene(subject="cat", color="orange", setting="in a meadow", seed=7)
BOX = "mask box left=30% top=30% right=60% bottom=60%"
RECIPES = {
    "tiles": f"{BOX} | tiles (invert sdedit strength=50% steps=4 | blend latent) overlap=25%",
    "repaint": f"{BOX} | tiles (repaint (invert sdedit strength=50% steps=4 | blend latent) times=2)",
    "stages": f'{BOX} | crop | invert edit_friendly "cat"->"dog" steps=2 | blend latent | sample'
    " | upscale factor=1.5 | surround lowpass | mask window"
    " | tiles (invert sdedit strength=50% steps=4 | blend latent) | paste",
}


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "cat.png"
    render(CAT, 176).save(path)
    return path


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.thorough
def test_not_a_byte_changes_outside_of_the_mask_and_the_plan_holds(name: str, large: Path) -> None:
    recipe = retouch.recipe(RECIPES[name], large.parent)
    made = recipe(large, caption="an orange cat in a meadow")
    before, after = (np.asarray(each.convert("RGB")) for each in (Image.open(large), made.image))
    assert before.shape == after.shape
    moved = (before != after).any(-1)
    inside = np.zeros_like(moved)
    inside[52:106, 52:106] = True
    assert moved[inside].mean() > 0.2
    assert not moved[~inside].any()
    (graph,) = recipe.graphs(large, caption="an orange cat in a meadow")
    least, most = plan(graph).total
    assert least < most < 1000


@pytest.mark.thorough
def test_whole_pictures_go_through_tiles_at_the_rows_that_the_plan_says(large: Path) -> None:
    recipe = retouch.recipe("tiles (invert sdedit strength=50% steps=4)", large.parent)
    (graph,) = recipe.graphs(large, caption="a cat")
    assert plan(graph).total == (16 * 4, 16 * 4)
    assert recipe(large, caption="a cat").image.size == (176, 176)
