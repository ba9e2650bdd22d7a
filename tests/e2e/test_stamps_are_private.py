"""What a picture says of itself names no place of the machine it was made on, and is enough to make it again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from retouch.models import catalog
from retouch.pictures import metadata
from retouch.run.files.private import PrivateNames, is_place, private, rewritten, rewritten_value
from tests.e2e.command import draw, retouch

pytestmark = pytest.mark.usefixtures("small_for_commands", "two_rows")

SECRET = ("ann-smith", "divorce", "sd-leaked")  # a user's name, a folder's, and a model's


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder whose name tells, with a picture, a mask and a library in one that tells more."""
    folder = tmp_path / "ann-smith" / "divorce"
    folder.mkdir(parents=True)
    draw(folder / "cat.png")
    Image.new("L", (64, 64), 255).save(folder / "mask.png")
    (folder / "lib.retouch").write_text('def swap() = invert sdedit "cat"->"dog" steps=2\n')
    return folder


@pytest.fixture
def model(home: Path) -> Path:
    """The embedded model as somebody's own folder."""
    folder = home.parent / "sd-leaked"
    shutil.copytree(catalog.find("storybook").folder, folder, symlinks=False)
    return folder


def recipe(home: Path) -> str:
    return (
        f'use "{home}/lib.retouch"\nlet where = "{home}/mask.png"\n'
        f'open "{home}/cat.png" caption="an orange cat in a meadow" | swap() | mask file path=where | blend latent'
        f' | save "{home}/{{name}}-out.png"\n'
    )


def said(path: Path) -> str:
    """All that the file says, as anyone finds it; pixels are compressed."""
    return path.read_bytes().decode("latin-1") + json.dumps(metadata(path))


def assert_private(path: Path) -> None:
    assert metadata(path)
    for word in SECRET:
        assert word not in said(path), word


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_places_of_a_recipe_are_not_told(home, tmp_path, suffix):
    text = recipe(home).replace("-out.png", f"-out{suffix}")
    done = retouch("run", "-e", text, "--allow", home, folder=tmp_path)
    assert done.code == 0, done.err
    assert_private(home / f"cat-out{suffix}")


def test_a_recipe_of_another_folder_is_run_again_from_names_and_digests(home, tmp_path):
    (tmp_path / "mine.retouch").write_text(recipe(home))
    assert retouch("run", "mine.retouch", "--allow", home, "--exact", folder=tmp_path).code == 0
    again = retouch("rerun", home / "cat-out.png", "--verify", "--json", folder=tmp_path)
    assert again.code == 0, again.out + again.err
    assert json.loads(again.out)["equal"]


@pytest.mark.parametrize("where", ["{name}_mask.png", "masks/{name}.png", "masks/*.png"])
def test_a_picture_with_a_mask_of_its_own_is_run_again(home, tmp_path, where):
    (home / "masks").mkdir()
    mask = np.zeros((64, 64), np.uint8)
    mask[:, 20:] = 255
    for name in ("masks/cat.png", "cat_mask.png"):
        Image.fromarray(mask).save(home / name)
    text = f'invert sdedit "cat"->"dog" steps=2 | mask file "divorce/{where}" | blend latent | blend pixel'
    (home.parent / "mine.retouch").write_text(text)
    done = retouch("run", home.parent / "mine.retouch", home / "cat.png", "-o", "dog.png", "--exact", folder=tmp_path)
    assert done.code == 0, done.err
    assert_private(tmp_path / "dog.png")
    again = retouch("rerun", "dog.png", "--verify", "--json", folder=tmp_path)
    assert again.code == 0, again.out + again.err
    assert json.loads(again.out)["equal"]


@pytest.mark.parametrize("how", ["option", "line"])
def test_a_model_of_a_folder_is_told_by_its_digest(home, model, tmp_path, how):
    line = f'model "{model}"\n' if how == "line" else ""
    option = ["--model", model] if how == "option" else ["--allow", model]
    text = f'{line}invert sdedit "cat"->"dog" steps=2'
    done = retouch("run", "-e", text, home / "cat.png", "-o", "dog.png", *option, "--exact", folder=tmp_path)
    assert done.code == 0, done.err
    assert_private(tmp_path / "dog.png")
    assert (metadata(tmp_path / "dog.png") or {})["model"].startswith("digest:")
    again = retouch("rerun", "dog.png", "--model", model, "--json", folder=tmp_path)
    assert json.loads(again.out)["equal"]


def test_settings_sheets_masks_and_latents_tell_no_place_either(home, tmp_path):
    text = (
        f'let where = ""\nx = open "{home}/cat.png" | invert sdedit "cat"->"dog" steps=2\n'
        f'm = open "{home}/cat.png" | mask file path=where\nm | save mask "{home}/m.png"\n'
        f'x | sheet "{home}/s.png"\nx | save latents "{home}/l.safetensors"\nx | measure "{home}/t.csv"\n'
    )
    setting = f"where={home}/mask.png"
    done = retouch("run", "-e", text, "--allow", home, "--set", setting, folder=tmp_path)
    assert done.code == 0, done.err
    assert_private(home / "m.png")
    assert_private(home / "s.png")
    for name in ("l.safetensors", "t.csv"):
        assert not any(word in (home / name).read_bytes().decode("latin-1") for word in SECRET)


def test_a_stamp_is_as_short_as_is_asked_for(home):
    words = ("cat", "meadow", "invert", "sdedit")
    for stamp in ("minimal", "none"):
        args = ["-e", 'invert sdedit "cat"->"dog" steps=2', "cat.png", "-o", f"{stamp}.png", "--stamp", stamp]
        assert retouch("run", *args, folder=home).code == 0
        assert not any(word in said(home / f"{stamp}.png") for word in (*SECRET, *words))
        args = ["-e", 'encode | decode | sheet "sheet.png"', "cat.png", "--force", "--stamp", stamp]
        assert retouch("run", *args, folder=home).code == 0
        assert not any(word in said(home / "sheet.png") for word in (*SECRET, *words, "encode"))
    assert (metadata(home / "minimal.png") or {}).keys() >= {"retouch", "torch", "model_digest"}
    assert metadata(home / "none.png") is None
    assert "RT509" in retouch("rerun", "minimal.png", folder=home).err
    assert retouch("show", "none.png", folder=home).code == 1


def test_two_files_of_one_name_stay_two(tmp_path):
    names = PrivateNames(tmp_path)
    change = private(names, {})
    assert [change(f"{folder}/x.png") for folder in "aba"] == ["x.png", "x-2.png", "x.png"]
    text = rewritten('open "a/x.png" | mask file "b/x.png" | save "/y/{style}/{name}.png"', change)
    assert text == 'open "x.png" | mask file "x-2.png" | save "{style}/{name}.png"'


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("/home/ann/x.png", True), ("~/x.png", True), ("../x", True), ("C:\\me\\x", True), ("\\\\pc\\x", True),
        ("photos/x.png", True), ("photos/*", True), ("there/inner", True), ("x.png", False), ("a cat", False),
        ("a cat/dog", False), ("w/ a hat", False), ("/imagine a cat", False), ("50/50", False), ("", False),
    ],
)  # fmt: skip
def test_words_are_not_taken_for_places(tmp_path, text, place):
    (tmp_path / "there" / "inner").mkdir(parents=True)
    assert is_place(text, tmp_path) == place


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("/home/ann/x.png", "x.png"), ('"/home/ann/x.png"', '"x.png"'), ('["/a/b/x.png", "y"]', '["x.png", "y"]'),
        ("3", "3"), ("a cat", "a cat"), ("40%", "40%"),
    ],
)  # fmt: skip
def test_a_setting_is_changed_as_it_was_written(tmp_path, text, told):
    assert rewritten_value(text, private(PrivateNames(tmp_path), {})) == told
