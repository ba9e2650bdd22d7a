"""The schedule keeps its laws, and edits a picture."""

import pytest
from PIL import Image
from retouch_newcomer import newcomer

import retouch

RECIPE = 'schedule newcomer | invert ddim "cat"->"dog" steps=3'


@pytest.mark.parametrize("bend", [0.5, 1.0, 3.0])
def test_it_keeps_the_laws(stage_laws, bend):
    stage_laws(newcomer, bend=bend)


def test_it_edits_a_picture():
    picture = Image.new("RGB", (64, 64), "orange")
    with_it, without = (
        retouch.recipe(recipe)(picture, caption="a cat").image for recipe in (RECIPE, RECIPE.partition("| ")[2])
    )
    assert with_it.size == (64, 64)
    assert with_it.tobytes() != without.tobytes()
