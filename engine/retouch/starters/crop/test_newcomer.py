"""The window keeps its laws, is put back to the bit, and is edited in its mask alone."""

from PIL import Image
from retouch_newcomer import newcomer

import retouch

PLACE = "mask box left=25% right=50% top=25% bottom=50%"


def drawn(*size):
    return Image.effect_mandelbrot(size, (-2, -1.5, 1, 1.5), 40).convert("RGB")


def test_it_keeps_the_laws(stage_laws):
    stage_laws(newcomer)


def test_put_back_unedited_every_bit_is_the_pictures():
    picture = drawn(150, 90)
    for margin in (0, 7, 4096):
        done = retouch.recipe(f"{PLACE} | crop newcomer margin={margin} | paste")(picture)
        assert done.image.tobytes() == picture.tobytes()


def test_an_edit_changes_nothing_outside_of_the_mask():
    picture = drawn(160, 96)
    edit = 'invert sdedit "cat"->"dog" steps=2'
    done = retouch.recipe(f"{PLACE} | crop newcomer | {edit} | paste")(picture, caption="a cat").image
    assert done.tobytes() != picture.tobytes()
    for each in (done, picture):
        each.paste("black", (40, 24, 80, 48))
    assert done.tobytes() == picture.tobytes()
