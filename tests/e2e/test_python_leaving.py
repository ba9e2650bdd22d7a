"""What leaves a script is the file that the command line writes, the recipe inside, unless nobody wants that."""

from __future__ import annotations

import io
import pickle  # noqa: TID251  results go to worker processes
from pathlib import Path

import pytest
from PIL import Image

import retouch as python
from retouch import pictures
from tests.e2e.command import retouch

pytestmark = pytest.mark.usefixtures("small_for_commands")

EDIT = 'invert sdedit "cat"->"dog" steps=2'


@pytest.mark.parametrize("name", ["dog.png", "dog.jpg", "dog.webp", "dog.tif"])
def test_a_saved_image_is_the_file_that_the_command_line_writes(cat: Path, name: str) -> None:
    python.recipe(EDIT, cat.parent)(cat).image.save(cat.with_name(f"python-{name}"))
    done = retouch("run", "-e", EDIT, cat, "-o", f"command-{name}", folder=cat.parent)
    assert done.code == 0, done.err
    python_, command = (cat.with_name(f"{way}-{name}") for way in ("python", "command"))
    told = pictures.metadata(python_)
    assert told
    assert pictures.read(python_).rgb.tobytes() == pictures.read(command).rgb.tobytes()
    same = {key: value.replace("python-", "").replace("command-", "") for key, value in told.items()}
    others = dict(pictures.metadata(command) or {})
    if name != "dog.png":  # of a PNG the recipe's own result is the work
        del others["work"]
    assert same == {key: value.replace("command-", "") for key, value in others.items()}
    assert retouch("rerun", python_, "--verify", folder=cat.parent).code == 0
    assert retouch("run", "-e", EDIT, cat, "-o", python_, folder=cat.parent).code == 0  # it is one of ours


def test_an_image_takes_its_recipe_along_and_what_pillow_makes_of_it_does_not(cat: Path) -> None:
    image = python.recipe(EDIT, cat.parent)(cat).image
    assert isinstance(image, Image.Image)
    for kept in (image, image.copy(), pickle.loads(pickle.dumps(image))):
        kept.save(cat.with_name("kept.png"))
        assert (pictures.metadata(cat.with_name("kept.png")) or {})["recipe"] == EDIT
    image.resize((32, 32)).save(cat.with_name("small.png"))
    assert pictures.metadata(cat.with_name("small.png")) is None
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    assert "retouch" in Image.open(file).info
    image.save(cat.with_name("dog.gif"))
    assert Image.open(cat.with_name("dog.gif")).format == "GIF"
    image.save(cat.with_name("small.jpg"), quality=30, size=32)
    assert Image.open(cat.with_name("small.jpg")).size == (32, 32)
    cat.with_name("there.png").mkdir()
    with pytest.raises(ValueError, match="Is a directory"):
        image.save(cat.with_name("there.png"))


def test_a_script_may_leave_the_recipe_out(cat: Path) -> None:
    python.recipe(EDIT, cat.parent)(cat, stamp="none").image.save(cat.with_name("dog.png"))
    assert pictures.metadata(cat.with_name("dog.png")) is None


def test_a_picture_that_is_saved_and_measured_is_one_picture_and_files_are_told(cat: Path) -> None:
    text = f'{EDIT} | measure "figures.csv" | save "dog.png"'
    made = python.recipe(text, cat.parent)(cat)
    assert len(made.images) == 1
    assert {path.name for path in made.files} == {"dog.png", "figures.csv"}
    assert all(path.is_file() for path in made.files)
