"""What is wrong with one picture among many is told for that picture, by every command alike, and the others run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import retouch as python
from tests.e2e.command import draw, left_in, retouch

pytestmark = pytest.mark.usefixtures("small_for_commands")

EDIT = 'invert sdedit "cat"->"dog" steps=2 | save "out/{name}.png"'
MASKED = 'invert sdedit "cat"->"dog" steps=2 | mask file "{name}_mask.png" | blend latent | save "out/{name}.png"'
COMMANDS = ("check", "plan", "graph", "run")


def caption(folder: Path) -> None:
    (folder / "odd.txt").write_text("a bird in a tree")


def undecodable(folder: Path) -> None:
    (folder / "odd.txt").write_bytes(b"a cat \xff\xfe\xff")


def large(folder: Path) -> None:
    draw(folder / "odd.png", size=300)


def missing(folder: Path) -> None:
    (folder / "odd.png").unlink()


def unreadable(folder: Path) -> None:
    (folder / "odd.png").write_text("no picture")


def foreign(folder: Path) -> None:
    (folder / "out").mkdir()
    Image.new("RGB", (8, 8)).save(folder / "out" / "odd.png")


def no_picture_there(folder: Path) -> None:
    (folder / "out").mkdir()
    (folder / "out" / "odd.png").write_text("what somebody wrote")


def no_mask(folder: Path) -> None:
    (folder / "odd_mask.png").unlink()


def broken_mask(folder: Path) -> None:
    (folder / "odd_mask.png").write_text("no mask")


def small_mask(folder: Path) -> None:
    Image.new("L", (32, 16), 255).save(folder / "odd_mask.png")


MISTAKES = {
    caption: "RT306", undecodable: "RT418", large: "RT404", missing: "RT402", unreadable: "RT504", foreign: "RT415",
    no_picture_there: "RT415", no_mask: "RT402", broken_mask: "RT504", small_mask: "RT417",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("one", "odd", "two"):
        draw(tmp_path / f"{name}.png")
        Image.new("L", (64, 64), 255).save(tmp_path / f"{name}_mask.png")
    return tmp_path


def recipe(mistake) -> str:
    return MASKED if "mask" in mistake.__name__ else EDIT


@pytest.mark.crossed
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda each: each.__name__)
def test_it_is_told_for_that_one_and_the_exit_code_is_three(folder, mistake, command):
    mistake(folder)
    ran = retouch(command, "-e", recipe(mistake), "one.png", "odd.png", "two.png", folder=folder)
    assert ran.code == 3, ran.out + ran.err
    assert ran.err.count("error[") == 1
    assert f"error[{MISTAKES[mistake]}]" in ran.err
    assert "odd" in ran.err
    assert "1 of 3 pictures cannot be edited; the others can" in ran.err
    assert "error[" not in ran.out
    made = (left_in(folder / "out") - {"odd.png"}) if (folder / "out").exists() else set()
    assert made == ({"one.png", "two.png"} if command == "run" else set())


@pytest.mark.crossed
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda each: each.__name__)
def test_alone_it_is_the_whole_and_nothing_runs(folder, mistake, command):
    mistake(folder)
    ran = retouch(command, "-e", recipe(mistake), "odd.png", folder=folder)
    assert ran.code == 1, ran.out + ran.err
    assert f"error[{MISTAKES[mistake]}]" in ran.err


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda each: each.__name__)
def test_programs_and_python_are_told_the_same(folder, mistake):
    mistake(folder)
    ran = retouch("run", "-e", recipe(mistake), "one.png", "odd.png", "two.png", "--json", folder=folder)
    results = {Path(event["item"]).stem: event for event in ran.events if event.get("event") == "result"}
    assert {name: event["ok"] for name, event in results.items()} == {"one": True, "odd": False, "two": True}
    (told,) = results["odd"]["diagnostics"]
    assert (told["code"], told["pictures"]) == (MISTAKES[mistake], [str(folder / "odd.png")])
    sources = [folder / f"{name}.png" for name in ("one", "odd", "two")]
    made = python.recipe(recipe(mistake), folder)(sources)
    assert [each.ok for each in made] == [True, False, True]
    assert [found.code for found in made[1].diagnostics] == [MISTAKES[mistake]]


def test_what_is_wrong_with_all_of_them_is_the_recipes(folder):
    ran = retouch("run", "-e", EDIT.replace("cat", "cow"), "one.png", "odd.png", folder=folder)
    assert (ran.code, ran.err.count("error[RT306]")) == (1, 1)
    assert "this is about" not in ran.err
    ran = retouch("check", "-e", EDIT, "one.png", "odd.png", "--set", "guidance=many", "--json", folder=folder)
    assert ran.code == 1
    assert [(each["code"], each["pictures"]) for each in json.loads(ran.out)["diagnostics"]] == [("RT207", [])]


def test_when_each_has_a_mistake_of_its_own_nothing_runs_and_all_are_told(folder):
    caption(folder)
    (folder / "one.png").write_text("no picture")
    ran = retouch("run", "-e", EDIT, "one.png", "odd.png", folder=folder)
    assert ran.code == 1
    assert {"error[RT306]", "error[RT504]"} <= set(ran.err.replace(":", " ").split())


def test_pictures_that_the_recipe_opens_are_many_too_and_one_that_it_names_is_the_recipes(folder):
    caption(folder)
    ran = retouch("run", "-e", f'open "o??.png" | {EDIT}', folder=folder)
    assert ran.code == 3, ran.err
    assert left_in(folder / "out") == {"one.png"}
    named = f'open "one.png" | {EDIT}\nopen "odd.png" | {EDIT.replace("out/", "other/")}'
    assert retouch("run", "-e", named, folder=folder).code == 1


@pytest.mark.parametrize("behind", ["", ' | sheet "out/sheet.png"'], ids=["pictures", "pictures and their sheet"])
def test_a_line_counts_those_that_fail_while_they_run(folder, behind):
    torn = folder / "odd.png"
    torn.write_bytes(torn.read_bytes()[:-500])
    ran = retouch("run", "-e", EDIT + behind, "one.png", "odd.png", "two.png", folder=folder)
    assert (ran.code, "1 of 3 pictures failed" in ran.err) == (3, True)
    assert f"this is about '{torn}'" in ran.err


SHEET = 'invert sdedit "cat"->"dog" steps=2 | sample guidance=[1, 2] | sheet "out/sheet.png"'


@pytest.mark.parametrize("text", [SHEET, f'open "*.png" | {SHEET}'], ids=["command line", "pattern"])
def test_a_refused_picture_keeps_its_cell_in_a_contact_sheet(folder, text):
    """A picture that fails has one that says so; the row stands where the picture does among the others."""
    for mask in folder.glob("*_mask.png"):
        mask.unlink()
    names = ["one.png", "odd.png", "two.png"] if text == SHEET else []
    place = 1 if names else 0  # patterns go by the alphabet
    whole = retouch("run", "-e", text, *names, folder=folder)
    assert whole.code == 0, whole.err
    full = np.asarray(Image.open(folder / "out" / "sheet.png")).astype(int)
    (folder / "odd.txt").write_text("a bird in a tree")
    ran = retouch("run", "-e", text, *names, folder=folder)
    assert ran.code == 3, ran.err
    found = np.asarray(Image.open(folder / "out" / "sheet.png")).astype(int)
    assert found.shape == full.shape
    rows = np.flatnonzero((abs(found - full) > 32).any((1, 2)))  # other company rounds otherwise
    top, tall = 20 + 8, (full.shape[0] - 20 - 8) // 3
    assert top + place * tall <= rows.min() <= rows.max() < top + (place + 1) * tall


def test_python_keeps_the_cell_too(folder):
    (folder / "odd.txt").write_text("a bird in a tree")
    sources = [folder / f"{name}.png" for name in ("one", "odd", "two")]
    python.recipe(SHEET, folder)(sources)
    with Image.open(folder / "out" / "sheet.png") as sheet:
        assert sheet.height > 3 * 128


def test_what_is_noticed_says_of_which_picture(folder):
    """That a stage tells begins with no file's name, as that of a file does; alone nobody has to ask."""
    told = 'draw (invert sdedit "cat"->"dog" steps=2 strength=50%) seeds=2 | rank image_text'
    Image.open(folder / "one.png").convert("L").save(folder / "grey.png")
    both = retouch("run", "-e", told, "one.png", "grey.png", "-o", "out", "--caption", "a cat", folder=folder)
    noticed = [line for line in both.err.splitlines() if "rank image_text" in line]
    assert [line.partition(": rank")[0] for line in noticed] == ["one.png", "grey.png"]
    assert "grey.png: grey, read as colour" in both.err.splitlines()
    alone = retouch("run", "-e", told, "one.png", "-o", "alone.png", "--caption", "a cat", folder=folder)
    assert [line for line in alone.err.splitlines() if line.startswith("rank image_text: kept draw")]
