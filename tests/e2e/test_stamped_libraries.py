"""A picture made by a recipe of several files says what stood in all of them, and is made again without them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from retouch.pictures import metadata
from retouch.pictures.stamp import KEY
from tests.e2e.command import Ran, draw, retouch

pytestmark = pytest.mark.usefixtures("small_for_commands", "two_rows")

TEXT = 'use "parts/masks.retouch" as m\nuse "parts/walks.retouch"\nwalk(2) | m.half() | m.wider() | blend latent\n'
INLINED = 'invert ddim "cat"->"dog" steps=2 | mask file "masks/half.png" | mask dilate pixels=3 | blend latent\n'


@pytest.fixture(scope="module")
def made(small_for_commands, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the picture, its recipe and what that uses; not to be changed."""
    folder = tmp_path_factory.mktemp("made")
    draw(folder / "cat.png")
    (folder / "masks").mkdir()
    half = Image.new("L", (64, 64))
    half.paste(255, (0, 0, 30, 64))
    half.save(folder / "masks" / "half.png")
    (folder / "parts" / "more").mkdir(parents=True)
    (folder / "my.retouch").write_text(TEXT)
    (folder / "inlined.retouch").write_text(INLINED)
    (folder / "parts" / "walks.retouch").write_text('def walk(n) = invert ddim "cat"->"dog" steps=n\n')
    own = 'use "more/masks.retouch"\ndef half() = mask file "masks/half.png"\n'
    (folder / "parts" / "masks.retouch").write_text(own)
    (folder / "parts" / "more" / "masks.retouch").write_text("def wider() = mask dilate pixels=3\n")
    for name in ("my", "inlined"):
        done = retouch("run", f"{name}.retouch", "cat.png", "-o", f"{name}.png", "--exact", folder=folder)
        assert done.code == 0, done.err
    return folder


@pytest.fixture
def alone(made: Path, tmp_path: Path) -> Path:
    """A folder with the picture, its source and its mask, and none of the files that its recipe used."""
    for name in ("my.png", "cat.png", "masks/half.png"):
        shutil.copy(made / name, tmp_path)
    return tmp_path


def again(folder: Path) -> Ran:
    return retouch("rerun", "my.png", "--verify", folder=folder)


def test_a_recipe_in_parts_makes_what_it_makes_in_one(made):
    one, other = (Image.open(made / f"{name}.png").tobytes() for name in ("my", "inlined"))
    assert one == other


def test_it_is_made_again_without_its_libraries(alone):
    done = again(alone)
    assert (done.code, done.out, done.err) == (0, "same: every pixel is the same\n", "")


def test_what_libraries_say_by_now_is_not_asked(alone):
    (alone / "walks.retouch").write_text('def walk(n) = invert ddim "cat"->"fox" steps=n\n')
    (alone / "masks-2.retouch").write_text("def wider() = mask erode pixels=30\n")
    assert again(alone).code == 0


def test_what_stood_in_them_is_shown_and_names_no_folder(alone):
    shown = retouch("show", "my.png", folder=alone).out
    assert "# walks.retouch:\ndef walk(n)" in shown
    assert 'use "masks.retouch" as m' in shown
    assert 'use "masks-2.retouch"' in shown
    assert "parts/" not in json.dumps(metadata(alone / "my.png"))
    data = json.loads(retouch("show", "my.png", "--json", folder=alone).out)
    assert data["libraries"]["masks-2.retouch"] == "def wider() = mask dilate pixels=3\n"


@pytest.mark.parametrize("name", ["", ".", "..", "../x.retouch", "/tmp/x.retouch", "a\\b", "a\0b", "\ud800", "x" * 256])
def test_a_library_goes_nowhere_but_into_the_folder_of_the_rerun(alone, name):
    from PIL.PngImagePlugin import PngInfo

    told = {**metadata(alone / "my.png"), "libraries": json.dumps({name: "def walk(n) = invert ddim\n"})}
    info = PngInfo()
    info.add_itxt(KEY, json.dumps(told))
    with Image.open(alone / "my.png") as picture:
        picture.save(alone / "my.png", pnginfo=info)
    done = again(alone)
    assert done.code == 1
    assert "error[RT508]" in done.err
