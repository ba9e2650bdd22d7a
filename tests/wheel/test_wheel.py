"""The built wheel, beside the dependencies, with the source roots off the path, does what the checkout does."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built once, from what is checked out."""
    folder = tmp_path_factory.mktemp("dist")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--wheel-dir", folder, ROOT], check=True, capture_output=True)
    return next(folder.glob("retouch-*.whl"))


def test_it_carries_grammar_recipes_and_weights(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert "retouch/grammar/recipe.lark" in names
    assert "retouch/recipes/cat_to_dog.retouch" in names
    assert {"retouch/starters/pyproject.toml", "retouch/starters/mask/test_newcomer.py"} <= names
    assert "retouch/recipes/pictures/cat_meadow.png" in names
    assert "retouch_storybook/weights/unet/diffusion_pytorch_model.safetensors" in names
    assert "retouch_storybook/weights/judge/model.safetensors" in names
    assert "retouch_storybook/weights/image_text/model.safetensors" in names
    assert not any(name.startswith(("tests/", "engine/", "plugins/")) for name in names)
    assert "retouch_storybook/weights128/unet/diffusion_pytorch_model.safetensors" in names
    assert wheel.stat().st_size < 70_000_000  # two models, the one for pixels, and a GAN


def test_it_runs_the_first_recipe_from_where_it_is_installed(wheel, tmp_path):
    target = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", target, wheel]
    subprocess.run(pip, check=True, capture_output=True)
    # `-S` keeps the editable checkout's .pth files out; the dependencies' folder is named instead.
    packages = Path(Image.__file__).parents[1]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (target, packages)))}
    where = [
        sys.executable,
        "-S",
        "-c",
        "import retouch, retouch_methods; print(retouch.__file__, retouch_methods.__file__)",
    ]
    found = subprocess.run(where, env=env, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert found.count(str(target)) == 2
    recipes = target / "retouch" / "recipes"
    command = [
        sys.executable, "-S", "-m", "retouch", "run", recipes / "cat_to_dog.retouch",
        recipes / "pictures" / "cat_meadow.png", "-o", tmp_path / "dog.png", "--set", "steps=2",
    ]  # fmt: skip
    done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert Image.open(tmp_path / "dog.png").size == (64, 64)
