"""The drawing command writes what it says, and refuses clearly what it can't draw."""

import numpy as np
import pytest
from PIL import Image

from retouch_storybook.draw import main
from retouch_storybook.world import Scene, render

CAT = ["--subject", "cat", "--color", "orange", "--setting", "in a meadow"]


def test_the_command_draws_a_scene_and_says_its_caption(tmp_path, capsys):
    out = tmp_path / "cat.png"
    main([*CAT, "--accessory", "hat", "--style", "sketch", "--seed", "7", "--size", "48", str(out)])
    assert capsys.readouterr().out == "an orange cat wearing a hat in a meadow as a pencil sketch\n"
    scene = Scene("cat", "orange", "in a meadow", "hat", "sketch", seed=7)
    assert np.array_equal(np.asarray(Image.open(out)), np.asarray(render(scene, 48)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([*CAT[:2], "--color", "mauve", "--setting", "at night", "x.png"], "invalid choice: 'mauve'"),
        (["--subject", "car", *CAT[2:], "--accessory", "hat", "x.png"], "a car wears nothing"),
        ([*CAT, "--size", "4096", "x.png"], "4096 is not between 8 and 512"),
        ([*CAT, "no/such/folder/x.png"], "can't write no/such/folder/x.png: No such file or directory"),
        ([*CAT], "the following arguments are required: out"),
    ],
)
def test_a_mistake_is_one_clear_line(arguments, message, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
