"""The distillation keeps its laws, and edits a picture inside of its mask alone."""

from PIL import Image
from retouch_newcomer import newcomer

import retouch

RECIPE = 'mask box right=50% | distil newcomer "cat"->"dog" rounds=2 | blend pixel'


def test_it_keeps_the_laws(stage_laws):
    stage_laws(newcomer, rounds=3)


def test_it_edits_a_picture():
    picture = Image.new("RGB", (64, 64), "orange")
    made = retouch.recipe(RECIPE)(picture, caption="a cat").image
    left, right = (0, 0, 32, 64), (32, 0, 64, 64)
    assert made.crop(left).tobytes() != picture.crop(left).tobytes()
    assert made.crop(right).tobytes() == picture.crop(right).tobytes()
