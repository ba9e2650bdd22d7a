"""The guidance keeps its laws, and edits a picture."""

from PIL import Image
from retouch_newcomer import newcomer

import retouch

RECIPE = 'invert ddim "cat"->"dog" steps=2 | guide newcomer scale=5'


def test_it_keeps_the_laws(stage_laws):
    stage_laws(newcomer)
    stage_laws(newcomer, scale=1.0)


def test_it_edits_a_picture():
    picture = Image.new("RGB", (64, 64), "orange")
    strong, weak = (
        retouch.recipe(recipe)(picture, caption="a cat").image for recipe in (RECIPE, RECIPE.replace("5", "1"))
    )
    assert strong.size == (64, 64)
    assert strong.tobytes() != weak.tobytes()
