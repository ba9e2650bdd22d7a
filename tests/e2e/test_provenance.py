"""A picture says how it was made, and can be made again from that alone; what no longer holds is named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from retouch.pictures import metadata
from retouch.pictures.stamp import KEY
from retouch_storybook.world import Scene
from tests.e2e.command import Ran, draw, retouch

pytestmark = pytest.mark.usefixtures("two_rows")

EDIT = 'invert ddim steps=3 | attend p2p "cat"->"dog"'


@pytest.fixture(scope="module")
def edited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an edited picture beside the one that it was made from; not to be changed."""
    cat = draw(tmp_path_factory.mktemp("edited") / "cat.png")
    done = retouch("run", "-e", EDIT, "cat.png", "-o", "dog.png", "--exact", folder=cat.parent)
    assert done.code == 0, done.err
    return cat.parent


@pytest.fixture
def dog(edited: Path, tmp_path: Path) -> Path:
    """The edited picture of a copy of it."""
    return Path(shutil.copytree(edited, tmp_path, dirs_exist_ok=True)) / "dog.png"


def again(dog: Path, *args: object) -> Ran:
    return retouch("rerun", "dog.png", *args, folder=dog.parent)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_picture_shows_its_recipe_and_what_it_was_run_with(dog):
    shown = retouch("show", "dog.png", folder=dog.parent)
    assert shown.code == 0
    assert shown.out.startswith(EDIT)
    for said in ("source: cat.png, sha256 ", "model: storybook, ", "mode: exact", "attend p2p", "plugin "):
        assert said in shown.out


def test_what_it_shows_as_json_has_every_stage_with_its_options(dog):
    told = json.loads(retouch("show", "dog.png", "--json", folder=dog.parent).out)
    options = {stage["stage"]: stage["options"] for stage in told["stages"]}
    assert options["invert ddim"]["convention"]
    assert 0 <= options["attend p2p"]["cross_replace"] <= 1
    assert "cat.png" in told["inputs"]


def test_a_picture_of_nobodys_says_so(cat):
    shown = retouch("show", "cat.png", folder=cat.parent)
    assert (shown.code, shown.out) == (1, "")
    assert "does not say how it was made" in shown.err
    assert retouch("rerun", "cat.png", folder=cat.parent).code == 1


def test_a_file_that_is_no_picture_is_refused(tmp_path):
    (tmp_path / "note.png").write_text("no picture")
    shown = retouch("show", "note.png", folder=tmp_path)
    assert (shown.code, shown.out) == (1, "")
    assert "note.png" in shown.err


def test_a_rerun_comes_to_the_same_bits(dog):
    done = again(dog, "--json")
    told = json.loads(done.out)
    assert (done.code, told["equal"], told["changes"]) == (0, True, [])


@pytest.mark.thorough
def test_a_rerun_can_be_kept_and_says_the_same_of_itself(dog):
    assert again(dog, "-o", "twin.png").code == 0
    first, second = metadata(dog), metadata(dog.with_name("twin.png"))
    assert first
    assert second
    assert first["recipe"] == second["recipe"]
    assert first["stages"].replace("dog.png", "twin.png") == second["stages"]


def test_a_picture_that_was_touched_is_found_out(dog):
    picture = Image.open(dog)
    kept = PngInfo()
    kept.add_itxt(KEY, picture.info[KEY])
    picture.putpixel((3, 3), (255, 0, 255))
    picture.save(dog, pnginfo=kept)
    done = again(dog, "--verify")
    assert done.code == 4
    assert done.out.startswith("different: PSNR ")
    assert again(dog).code == 0


def test_a_source_that_changed_is_named(dog, cat):
    draw(cat, Scene("cat", "white", "in a meadow", seed=4))
    done = again(dog)
    assert (done.code, done.out) == (1, "")
    assert "has changed since" in done.err


@pytest.mark.thorough
def test_a_source_that_moved_is_named_and_can_be_given(dog, cat):
    cat.rename(cat.with_name("moved.png"))
    gone = again(dog)
    assert gone.code == 1
    assert "error[RT509]" in gone.err
    assert "'cat.png' is not below" in gone.err
    found = again(dog, "moved.png", "--json")
    assert (found.code, json.loads(found.out)["equal"]) == (0, True)


def test_where_a_rerun_cannot_be_kept_is_told_before_it_is_made(dog, monkeypatch):
    monkeypatch.setattr("retouch.run.session.execute", None)
    ran = again(dog, "-o", "cat.png/again.png")
    assert (ran.code, ran.out) == (1, "")
    assert "error[RT427]: 'cat.png/again.png' cannot be written: 'cat.png' is a file, not a folder" in ran.err


def test_a_rerun_writes_over_nobodys_file(dog):
    (dog.parent / "notes.png").write_bytes(b"mine")
    done = again(dog, "-o", "notes.png")
    assert done.code == 1
    assert (dog.parent / "notes.png").read_bytes() == b"mine"


@pytest.mark.thorough
def test_a_rerun_is_kept_in_a_new_file_alone(dog):
    """What is there already stays, be it retouch's own, the picture itself, or what a link leads to."""
    (dog.parent / "theirs.png").write_bytes(b"theirs")
    (dog.parent / "link.png").symlink_to("theirs.png")
    (dog.parent / "lost.png").symlink_to("nowhere.png")
    shutil.copy(dog, dog.with_name("older.png"))
    before = contents(dog.parent)
    for name in ("link.png", "lost.png", "older.png", "dog.png"):
        assert again(dog, "-o", name).code == 1, name
    assert contents(dog.parent) == before
    assert again(dog, "-o", "link.png", "--force").code == 0
    assert (dog.parent / "theirs.png").read_bytes() == b"theirs"


@pytest.mark.thorough
def test_a_stamp_opens_no_file_outside_of_the_folders_that_are_named(cat):
    """The stamp is a stranger's: what it names beyond the folder is only read where the user allows it."""
    away = cat.parent / "away"
    away.mkdir()
    done = retouch("run", "-e", EDIT, "cat.png", "-o", "away/dog.png", folder=cat.parent)
    assert done.code == 0, done.err
    refused = retouch("rerun", "dog.png", folder=away)
    assert (refused.code, refused.out) == (1, "")
    assert "--allow DIR" in refused.err
    assert retouch("rerun", "dog.png", "--allow", cat.parent, folder=away).code == 0


@pytest.mark.thorough
def test_a_source_in_a_folder_below_is_found_by_its_digest(cat):
    """Two files of one name, and only one of them is the source."""
    (cat.parent / "a").mkdir()
    (cat.parent / "b").mkdir()
    draw(cat.parent / "a" / "cat.png", Scene("dog", "white", "in a meadow", seed=1))
    cat.rename(cat.parent / "b" / "cat.png")
    cat.with_suffix(".txt").rename(cat.parent / "b" / "cat.txt")
    done = retouch("run", "-e", EDIT, "b/cat.png", "-o", "dog.png", "--exact", folder=cat.parent)
    assert done.code == 0, done.err
    assert json.loads(again(cat.with_name("dog.png"), "--json").out)["equal"]
