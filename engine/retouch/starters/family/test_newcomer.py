"""The family reads a model's folder, keeps its laws, and edits a picture."""

import json
from pathlib import Path
from shutil import copytree

import pytest
from PIL import Image
from retouch_newcomer import FAMILY

import retouch
from retouch.api.models import find_model

RECIPE = 'model "{folder}"\ninvert ddim "cat"->"dog" steps=2 | attend p2p'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model in the diffusers layout; here the embedded one, under the name of a pipeline of yours."""
    made = copytree(find_model("storybook").folder, tmp_path / "model")
    index = json.loads((made / "model_index.json").read_text())
    (made / "model_index.json").write_text(json.dumps({**index, "_class_name": "NewcomerPipeline"}))
    return made


def test_it_keeps_the_laws(family_laws, folder: Path):
    family_laws(FAMILY, folder)


def test_it_edits_a_picture(folder: Path):
    picture = Image.new("RGB", (64, 64), "orange")
    done = retouch.recipe(RECIPE.format(folder=folder.as_posix()), folder.parent)(picture, caption="a cat")
    assert done.image.size == (64, 64)
    assert done.image.tobytes() != picture.tobytes()
