"""The draws keep their laws, are as many as was asked for, and one of them is taken."""

from PIL import Image
from retouch_newcomer import newcomer

import retouch

RECIPE = 'mask box right=50% | draw newcomer (invert sdedit "cat"->"dog" steps=2) each=1 | rank change | blend pixel'


def test_it_keeps_the_laws(stage_laws):
    stage_laws(newcomer)


def test_more_draws_are_others():
    recipe = 'draw newcomer (invert sdedit "cat"->"dog" steps=2) each={} | rank change'
    picture = Image.new("RGB", (64, 64), "orange")
    one, other = (retouch.recipe(recipe.format(each))(picture, caption="a cat") for each in (1, 2))
    assert 2 * one.cost == other.cost


def test_one_of_them_is_taken():
    picture = Image.new("RGB", (64, 64), "orange")
    done = retouch.recipe(RECIPE)(picture, caption="a cat")
    assert done.image.crop((32, 0, 64, 64)).getcolors() == [(2048, (255, 165, 0))]
    assert done.image.tobytes() != picture.tobytes()
