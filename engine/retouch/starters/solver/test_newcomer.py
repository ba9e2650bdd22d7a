"""The solver keeps its laws, and edits a picture."""

from PIL import Image
from retouch_newcomer import newcomer

import retouch

RECIPE = 'invert ddim "cat"->"dog" steps=2 | solver newcomer limit=1'


def test_it_keeps_the_laws(stage_laws):
    stage_laws(newcomer)
    stage_laws(newcomer, limit=0.5)


def test_it_edits_a_picture():
    picture = Image.new("RGB", (64, 64), "orange")
    with_it, without = (
        retouch.recipe(recipe)(picture, caption="a cat").image for recipe in (RECIPE, RECIPE.partition(" |")[0])
    )
    assert with_it.size == (64, 64)
    assert with_it.tobytes() != without.tobytes()
