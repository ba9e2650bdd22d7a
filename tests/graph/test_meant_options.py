"""Beginners' slips: what is told has the names and values that were written, and can be typed as it stands."""

from __future__ import annotations

import pytest

EDIT = 'invert ddim "cat"->"dog"'
SLIPS = {
    f"{EDIT} guidance_scale=7.5": ("RT205", "| sample guidance=7.5"),
    f"{EDIT} num_inference_steps=20": ("RT205", "it is called 'steps' here"),
    f"encode | distil dds {EDIT.removeprefix('invert ddim ')} learning_rate=0.1": ("RT205", "it is called 'lr' here"),
    f"{EDIT} seed=3": ("RT205", "a line above: seed 3"),
    f'{EDIT} caption="a cat"': ("RT205", 'open caption="a cat"'),
    f'{EDIT} | blend latent mask="m.png"': ("RT207", 'mask file "m.png" |'),
    f'{EDIT} model="storybook"': ("RT207", 'a line of its own, above: model "storybook"'),
    'invert ddim prompt="a dog"': ("RT207", 'behind the method, without a name: "a dog"'),
    "mask dilate 4": ("RT113", "name=4; 'retouch stages mask dilate'"),
    'mask diffedit "cat" to "dog"': ("RT106", 'write -> there, as in "cat"->"dog"'),
    "invert ddim white cat into black dog": ("RT110", 'in quotes: "white cat"->"black dog"'),
    "invert ddim steps 20": ("RT110", "steps=20"),
    'mask attention words="cat"': ("RT207", 'words=["cat"]'),
    f"retouch 2\n{EDIT}": ("RT121", "pip install --upgrade retouch"),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_is_told_with_what_to_type(checked, slip):
    code, help_ = SLIPS[slip]
    found = [(each.code, each.help) for each in checked(slip, "cat.png").errors]
    assert code in dict(found), found
    assert any(help_ in said for which, said in found if which == code), found


def test_a_path_at_home_is_no_folder_of_that_name(checked, monkeypatch, tmp_path_factory):
    """Else `save "~/dog.png"` would make a folder "~", which nobody dares to remove."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    assert [each.code for each in checked(f'{EDIT} | save "~/dog.png"', "cat.png").errors] == ["RT403"]
    (graph,) = checked(f'{EDIT} | save "~/dog.png"', "cat.png", allowed=(home,)).graphs
    assert graph.node(graph.results[0]).options["path"] == str(home / "dog.png")
