"""Both guidances keep their laws, and edit a picture."""

import pytest
from PIL import Image
from retouch_newcomer import newcomer, newcomer_loss

import retouch

RECIPES = (
    'invert ddim "cat"->"dog" steps=2 | guide newcomer scale=SCALE',
    'invert ddim "cat"->"dog" steps=2 | guide newcomer_loss weight=SCALE',
)


def test_they_keep_the_laws(stage_laws):
    stage_laws(newcomer)
    stage_laws(newcomer, scale=1.0)
    stage_laws(newcomer_loss)


@pytest.mark.parametrize("recipe", RECIPES)
def test_they_edit_a_picture(recipe):
    picture = Image.new("RGB", (64, 64), "orange")
    strong, weak = (
        retouch.recipe(recipe.replace("SCALE", scale))(picture, caption="a cat").image for scale in ("50", "1")
    )
    assert strong.size == (64, 64)
    assert strong.tobytes() != weak.tobytes()
