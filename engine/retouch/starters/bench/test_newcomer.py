"""The benchmark measures an edit, and says what it wants."""

import pytest
from PIL import Image
from retouch_newcomer import main

from retouch.api.commands import WrongCommand

RECIPE = 'mask box right=50% | invert ddim "cat"->"dog" steps=2 | blend pixel'


def test_it_measures_an_edit(tmp_path, capsys):
    Image.new("RGB", (64, 64), "orange").save(path := tmp_path / "cat.png")
    path.with_suffix(".txt").write_text("a cat")
    assert main([RECIPE, str(path)]) == 0
    share = float(capsys.readouterr().out.rpartition(": ")[2].rstrip("%\n"))
    assert 0 < share <= 50


def test_it_says_what_it_wants():
    with pytest.raises(WrongCommand, match="retouch bench newcomer"):
        main([])
