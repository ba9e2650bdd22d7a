"""The eye keeps its laws, and leads an edit."""

from PIL import Image
from retouch_newcomer import newcomer

import retouch

RECIPE = 'invert ddim "cat"->"dog" steps=2 | eye newcomer | guide structure'


def test_it_keeps_the_laws(stage_laws):
    stage_laws(newcomer)


def test_it_leads_an_edit():
    picture = Image.new("RGB", (64, 64), "orange")
    picture.paste("navy", (16, 16, 48, 48))
    with_it, without = (
        retouch.recipe(recipe)(picture, caption="a cat").image for recipe in (RECIPE, RECIPE.partition(" |")[0])
    )
    assert with_it.tobytes() != without.tobytes()
