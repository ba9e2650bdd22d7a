"""The inversion keeps its laws, and edits a picture."""

import pytest
from PIL import Image
from retouch_newcomer import newcomer

import retouch

RECIPE = 'invert newcomer "cat"->"dog" steps=4 strength=0.5'


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
def test_it_keeps_the_laws(stage_laws, strength):
    stage_laws(newcomer, tolerance=1e-9, strength=strength)


def test_it_edits_a_picture():
    picture = Image.new("RGB", (64, 64), "orange")
    done = retouch.recipe(RECIPE)(picture, caption="a cat")
    assert done.image.size == (64, 64)
    assert done.image.tobytes() != picture.tobytes()
