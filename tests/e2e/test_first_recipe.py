"""The recipe on the project's card, word for word, on a scene that no training saw."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from retouch import pictures
from retouch_storybook.world import Scene, render
from tests.e2e.command import CAT, draw, in_process, left_in, retouch

CARD = 'invert null_text | mask diffedit "cat"->"dog" | blend latent'


def rgb(path):
    return np.asarray(Image.open(path).convert("RGB")).astype(float)


def psnr(a, b):
    return 10 * np.log10(255**2 / np.square(a - b).mean())


@pytest.mark.thorough
def test_the_cards_recipe_makes_a_picture_of_the_same_size_that_says_how(cat):
    ran = in_process("run", "-e", CARD, cat, "-o", "dog.png", "--set", "steps=2", "--json", folder=cat.parent, env={})
    assert ran.code == 0, ran.err
    assert ran.event("saved")["path"].endswith("dog.png")
    made = Image.open(cat.with_name("dog.png"))
    assert made.size == (64, 64)
    told = pictures.metadata(cat.with_name("dog.png"))
    assert told is not None
    assert told["recipe"] == CARD
    assert told["caption"] == CAT.caption()
    assert told["model"] == "storybook"


DEMO = """\
area = mask diffedit "cat"->"dog" | mask dilate pixels=4
area | save mask "mask.png"
invert null_text "cat"->"dog" | blend latent mask=area | blend pixel mask=area | save "dog.png"
"""


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """What `make demo` runs, with fewer steps, and its mask kept."""
    folder = tmp_path_factory.mktemp("demo")
    draw(folder / "cat.png")
    (folder / "demo.retouch").write_text(DEMO)
    ran = retouch("run", "demo.retouch", "cat.png", "--set", "steps=10", folder=folder)
    assert ran.code == 0, ran.err
    return folder


def test_the_cat_becomes_a_dog_more_than_it_stays_a_cat(demo):
    """Inside the true region the result is nearer to the drawing of the dog than the source is."""
    made, dog, cat = rgb(demo / "dog.png"), np.asarray(render(Scene("dog", *_like(CAT)), 64)), rgb(demo / "cat.png")
    region = np.abs(dog.astype(float) - cat).max(axis=2) > 0
    assert psnr(made[region], dog[region]) > psnr(cat[region], dog[region]) + 1


def _like(scene: Scene):
    return scene.color, scene.setting, scene.accessory, scene.style, scene.seed


def test_outside_the_mask_no_byte_changes(demo):
    made, cat, mask = rgb(demo / "dog.png"), rgb(demo / "cat.png"), rgb(demo / "mask.png").max(axis=2)
    assert 0.05 < (mask > 0).mean() < 0.6
    assert np.array_equal(made[mask == 0], cat[mask == 0])
    assert not np.array_equal(made[mask > 0], cat[mask > 0])


@pytest.mark.thorough
def test_the_demo_says_where_the_result_lies_and_repeats_to_the_bit(cat):
    commands = [("run", "-e", CARD, "cat.png", "-o", name, "--set", "steps=2") for name in ("a.png", "b.png")]
    for command in commands:
        ran = retouch(*command, folder=cat.parent)
        assert command[5] in ran.out
    assert np.array_equal(rgb(cat.with_name("a.png")), rgb(cat.with_name("b.png")))


def test_words_that_the_model_cannot_read_are_named(cat):
    long = "an orange cat in a meadow " + "with a red hat " * 6 + "and glasses"
    ran = retouch(
        "run", "-e", 'invert ddim "cat"->"dog" steps=1', "cat.png", "-o", "d.png", "--caption", long, folder=cat.parent
    )
    assert ran.code == 0, ran.err
    assert "and glasses'" in ran.err


def test_results_of_several_pictures_go_to_a_folder(tmp_path):
    draw(tmp_path / "one.png")
    draw(tmp_path / "two.png", Scene("cat", "white", "on a beach", seed=5))
    ran = retouch("run", "-e", 'invert ddim "cat"->"dog" steps=2', "one.png", "two.png", "-o", "out", folder=tmp_path)
    assert ran.code == 0, ran.err
    assert left_in(tmp_path / "out") == {"one.png", "two.png"}
    assert torch.get_default_dtype() is torch.float32
