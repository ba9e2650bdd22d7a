"""The built wheel, beside the dependencies, with the source roots off the path, does what the checkout does."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from retouch.cli.commands.bench import OURS
from retouch_bench.plugin import retouch_benches

pytestmark = pytest.mark.thorough
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """Both built once, from what is checked out."""
    folder = tmp_path_factory.mktemp("dist")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--wheel-dir", folder, ROOT, ROOT / "plugins"], check=True, capture_output=True)
    return next(folder.glob("retouch-*.whl")), next(folder.glob("retouch_bench-*.whl"))


@pytest.fixture(scope="module")
def wheel(wheels):
    """That of retouch."""
    return wheels[0]


@pytest.fixture(scope="module")
def site(wheel, tmp_path_factory):
    """A folder that retouch is installed in, and what finds it there and nothing of the checkout."""
    target = tmp_path_factory.mktemp("site")
    install(wheel, target)
    # `-S` keeps the editable checkout's .pth files out; the dependencies' folder is named instead.
    packages = Path(Image.__file__).parents[1]
    return target, {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (target, packages)))}


def install(wheel, target):
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", target, wheel]
    subprocess.run(pip, check=True, capture_output=True)


def python(*args, env, folder):
    command = [sys.executable, "-S", *map(str, args)]
    return subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, check=False)


def test_it_carries_grammar_recipes_and_weights(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert "retouch/grammar/recipe.lark" in names
    assert "retouch/recipes/cat_to_dog.retouch" in names
    assert {"retouch/starters/pyproject.toml", "retouch/starters/mask/test_newcomer.py"} <= names
    assert "retouch/recipes/pictures/cat_meadow.png" in names
    assert "retouch_storybook/weights/unet/diffusion_pytorch_model.safetensors" in names
    assert "retouch_storybook/weights/image_text/model.safetensors" in names
    assert not any(name.startswith(("tests/", "engine/", "plugins/")) for name in names)
    assert "retouch_storybook/weights128/unet/diffusion_pytorch_model.safetensors" in names
    assert wheel.stat().st_size < 62_000_000  # two models, the one for pixels, and a GAN


def test_benchmarks_and_trainers_are_a_wheel_beside_it(wheels):
    """No file is in both, and of the code of the checkout's plugins none is in neither."""
    names, others = ({*zipfile.ZipFile(wheel).namelist()} for wheel in wheels)
    assert not names & others
    code = {path.relative_to(ROOT / "plugins").as_posix() for path in (ROOT / "plugins").glob("retouch_*/**/*.py")}
    assert code <= names | others
    assert {name.partition("/")[0] for name in names & code} >= {"retouch_methods", "retouch_c2pa", "retouch_scenes"}
    assert {name for name in names if "/train/" in name} == {
        "retouch_storybook/train/__init__.py",
        "retouch_gan/train/__init__.py",
    }
    assert "retouch_storybook/weights/judge/model.safetensors" in others
    assert "retouch_storybook/train/loop.py" in others
    assert not [name for name in names if "gallery" in name or "/sheets/" in name]
    assert wheels[1].stat().st_size < 2_000_000


def test_both_are_of_one_version_and_the_benchmarks_known_are_those_there_are():
    of = [tomllib.loads((ROOT / place / "pyproject.toml").read_text())["project"] for place in ("", "plugins")]
    assert of[0]["version"] == of[1]["version"]
    assert of[1]["dependencies"] == [f"retouch=={of[0]['version']}"]
    assert of[0]["optional-dependencies"]["bench"] == [f"retouch-bench=={of[0]['version']}"]
    assert {*OURS} == {*retouch_benches()}


def test_without_the_other_it_says_what_to_install_and_with_it_all_is_there(wheels, site, tmp_path):
    target, env = site
    for words, code in ((["-m", "retouch", "bench", "quality"], 2), (["-m", "retouch", "bench"], 2)):
        done = python(*words, env=env, folder=tmp_path)
        assert done.returncode == code, done.stderr
        assert "error[RT454]" in done.stderr
        assert "pip install 'retouch[bench]'" in done.stderr
    for trainer in ("retouch_storybook.train", "retouch_gan.train", "retouch_storybook.train.model"):
        done = python("-m", trainer, env=env, folder=tmp_path)
        assert done.returncode == 1
        assert "RT454" in done.stderr
        assert len(done.stderr.splitlines()) == 1
    with zipfile.ZipFile(wheels[1]) as bench:
        bench.extractall(target)  # as pip does beside what is there
    done = python("-m", "retouch", "bench", env=env, folder=tmp_path)
    assert done.stdout.split() == sorted(OURS)
    found = python("-c", "import retouch_storybook.train, retouch_gan.train", env=env, folder=tmp_path)
    assert found.returncode == 0, found.stderr


def test_it_runs_the_first_recipe_from_where_it_is_installed(site, tmp_path):
    target, env = site
    where = "import retouch, retouch_methods; print(retouch.__file__, retouch_methods.__file__)"
    assert python("-c", where, env=env, folder=tmp_path).stdout.count(str(target)) == 2
    recipes = target / "retouch" / "recipes"
    command = [
        "-m", "retouch", "run", recipes / "cat_to_dog.retouch",
        recipes / "pictures" / "cat_meadow.png", "-o", tmp_path / "dog.png", "--set", "steps=2",
    ]  # fmt: skip
    done = python(*command, env=env, folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert Image.open(tmp_path / "dog.png").size == (64, 64)
