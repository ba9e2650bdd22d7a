"""The measurement keeps its laws, and measures an edit."""

from PIL import Image
from retouch_newcomer import newcomer

import retouch

RECIPE = 'invert ddim "cat"->"dog" steps=2 | mask box right=50% | blend pixel | measure newcomer "figures.csv"'


def test_it_keeps_the_laws(stage_laws):
    stage_laws(newcomer)


def test_it_measures_an_edit(tmp_path):
    picture = Image.new("RGB", (64, 64), "orange")
    retouch.recipe(RECIPE, tmp_path)(picture, caption="a cat")
    *_, names, figures = (tmp_path / "figures.csv").read_text().splitlines()
    changed = float(dict(zip(names.split(","), figures.split(","), strict=True))["changed"])
    assert 0 < changed <= 0.5
