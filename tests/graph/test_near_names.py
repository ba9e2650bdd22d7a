"""A file or folder that is missing is asked for by a name that is near, wherever it was named."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image

from retouch.api.checking import Environment, check
from retouch.cli.main import main
from retouch.graph.nodes import Picture
from retouch.near import MOST_ENTRIES, near_path, nearest
from retouch.paths import is_folder
from retouch.plugins.discovery import Plugin
from retouch.plugins.registry import load

EDIT = 'invert ddim "cat"->"dog"'
WRONG = [
    (["check", "recpie.retouch", "cat.png"], "did you mean 'recipe.retouch'?"),
    (["check", "flods/inner.retouch"], "did you mean 'folds/inner.retouch'?"),
    (["check", "-e", EDIT, "cta.png"], "did you mean 'cat.png'?"),
    (["check", "-e", EDIT, "flods/cat.png"], "did you mean 'folds/cat.png'?"),
    (["check", "-e", 'open "flods/cta.png" | invert ddim'], "did you mean 'folds/cat.png'?"),
    (["check", "-e", 'use "folds/inne.retouch"\ninvert ddim'], "did you mean 'folds/inner.retouch'?"),
    (["check", "-e", 'open views "fold/" | invert ddim'], "did you mean 'folds/'?"),
    (["check", "-e", EDIT, "cat.png", "--allow", "flods"], "did you mean 'folds'?"),
    (["check", "-e", EDIT, "cat.png", "--model", "./styel.safetensors"], "did you mean 'style.safetensors'?"),
    (["plan", "-e", EDIT, "cat.png", "--model", "./flods"], "did you mean 'folds'?"),
    (["check", "-e", f'model "storybook" lora=["folds/styl.safetensors*0.5"]\n{EDIT}', "cat.png"], "*0.5'?"),
    (["show", "cta.png"], "did you mean 'cat.png'?"),
    (["status", "flods"], "did you mean 'folds'?"),
    (["models", "styel.safetensors"], "did you mean 'style.safetensors'?"),
    (["graph", "-e", EDIT, "cat.png", "--to", "flods/x.svg"], "did you mean 'folds'?"),
]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folds").mkdir()
    for name in ("cat.png", "folds/cat.png"):
        Image.new("RGB", (64, 64)).save(tmp_path / name)
    for name in ("recipe.retouch", "folds/inner.retouch"):
        (tmp_path / name).write_text("def swap() = invert ddim\n")
    for name in ("style.safetensors", "folds/style.safetensors", ".hidden.png"):
        (tmp_path / name).write_bytes(b"none")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("line", "said"), WRONG, ids=lambda part: " ".join(part) if isinstance(part, list) else "")
def test_what_is_missing_is_asked_for_by_a_near_name(line, said, capsys):
    with suppress(SystemExit):  # where the command line itself is wrong
        assert main(line) != 0
    assert said in capsys.readouterr().err


def test_a_folder_that_was_not_given_tells_no_names(tmp_path):
    """A stranger's recipe learns from an answer only what lies where it may read."""
    recipes = tmp_path / "recipes"
    recipes.mkdir()
    (recipes / "away").symlink_to(tmp_path / "folds")
    assert near_path("away/cta.png", recipes) == "did you mean 'away/cat.png'?"
    assert not near_path("away/cta.png", recipes, may_look=lambda place: place.is_relative_to(recipes))
    assert not near_path("../flods/cat.png", recipes, may_look=lambda place: place.is_relative_to(recipes))


@pytest.mark.parametrize("text", ["", ".", "/", "hidden.png", "no/such/folder/at/all.png", "x" * 300, "a\0b", "q.zzz"])
def test_nothing_is_asked_where_no_name_is_near(text):
    assert near_path(text) == ""


def test_of_a_large_folder_as_many_names_are_compared_as_one_can_wait_for(tmp_path):
    looked = []
    for i in range(MOST_ENTRIES + 5):
        (tmp_path / f"{i}").touch()
    near_path("zzz", tmp_path, may_look=lambda place: looked.append(place) or is_folder(place))
    assert looked == [tmp_path.resolve()]


@pytest.mark.parametrize(
    ("name", "known", "found"),
    [
        ("299.png", ["298.png", "300.png"], None),
        ("sd15", ["sd21", "sdxl"], None),
        ("2024-01-03", ["2024-01-04"], None),
        ("storybook12", ["storybook", "storybook128"], None),
        ("img_0007", ["img_0008", "img_007"], "img_007"),  # one number written in two ways
        ("storybok128", ["storybook", "storybook128"], "storybook128"),
        ("stroybook", ["storybook128"], "storybook128"),  # the number was forgotten
        ("pix2pxi_zero", ["pix2pix_zero"], "pix2pix_zero"),
    ],
)
def test_numbers_that_differ_are_no_slip(name: str, known: list[str], found: str | None) -> None:
    assert nearest(name, known) == found


def test_another_number_is_not_asked_for_among_files(tmp_path: Path) -> None:
    for name in ("298.png", "300.png"):
        (tmp_path / name).touch()
    assert not near_path("299.png", tmp_path)
    assert near_path("298.jpg", tmp_path) == "did you mean '298.png'?"


def test_a_port_of_a_misspelt_type_is_told_with_the_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing makes it, and no stage before it would help."""
    head = "from __future__ import annotations\nfrom retouch.api import stage\n"
    (tmp_path / "near_types.py").write_text(f'{head}@stage("mask", "mine")\ndef f(source: SourcImage) -> Mask: ...')
    monkeypatch.syspath_prepend(str(tmp_path))
    world = Environment(load([Plugin("near", "near_types")]), tmp_path, (Picture(tmp_path / "cat.png"),))
    (error,) = (each for each in check("mask mine", world).errors if each.code == "RT301")
    assert error.help == "did you mean 'SourceImage', in the signature of 'mask mine'?"
