"""The mask keeps its laws, and edits a picture."""

import torch
from PIL import Image
from retouch_newcomer import newcomer

import retouch

RECIPE = 'invert ddim "cat"->"dog" steps=2 | mask newcomer side="dark" | blend latent | blend pixel'


def test_it_keeps_the_laws(stage_laws):
    stage_laws(newcomer)


def test_light_and_dark_are_no_pixel_twice(worlds):
    world = worlds.tiny_world()
    light, dark = (world.call(newcomer, side=side).data for side in ("light", "dark"))
    assert light.any()
    assert not torch.logical_and(light, dark).any()


def test_it_edits_a_picture():
    picture = Image.new("RGB", (64, 64), "white")
    picture.paste("black", (0, 0, 32, 64))
    done = retouch.recipe(RECIPE)(picture, caption="a cat")
    assert done.image.crop((32, 0, 64, 64)).getcolors() == [(2048, (255, 255, 255))]
    assert done.image.tobytes() != picture.tobytes()
