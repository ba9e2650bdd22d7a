"""The kind of file keeps its laws, and is written from an edit."""

import json

from PIL import Image
from retouch_newcomer import newcomer

import retouch

RECIPE = 'invert ddim "cat"->"dog" steps=2 | mask box right=50% | blend pixel | save newcomer "made.json"'


def test_it_keeps_the_laws(stage_laws):
    stage_laws(newcomer)
    stage_laws(newcomer, most=1)


def test_it_writes_an_edit(tmp_path):
    picture = Image.new("RGB", (64, 64), "orange")
    retouch.recipe(RECIPE, tmp_path)(picture, caption="a cat")
    made = json.loads((tmp_path / "made.json").read_text())
    assert made["colours"]["#ffa500"] >= 2048
