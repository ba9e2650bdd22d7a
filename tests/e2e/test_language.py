"""The language by example: recipes of every kind, run with the embedded model on pictures that its world draws."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from retouch_storybook.world import Scene
from tests.e2e.command import draw, retouch

pytestmark = pytest.mark.usefixtures("small_for_commands")

STEPS = 2
SMALLEST = 'invert null_text | mask diffedit "cat"->"dog" | blend latent'

EVERYTHING = """
retouch 1
model "storybook"                        # an alias, a local folder, or a hub id with revision="…"
defaults steps=50 guidance=7.5 seed=1    # for every stage that has the option and does not give it
let strength = 0.6                       # a parameter: --set strength=0.4 changes it

photo = open "images/cat.png" caption="a white cat in a meadow"
path = photo | invert null_text
area = photo | mask diffedit "cat"->"dog" strength=strength | mask dilate pixels=4
dog = path | attend p2p "cat"->"dog" cross_replace=80% | blend latent mask=area | sample
dog | save "out/dog.png"                 # a flow without a name is a result
area | save mask "out/mask.png"
"""

CHAIN = """
open "cat.png" caption="a white cat in a meadow"
  | invert ddim | attend p2p "white cat"->"black dog" "meadow"->"beach"  # several changes stand side by side
  | invert ddim | attend p2p +"a red hat" "dog"*1.5                      # add words, weigh a word; -"hat" removes
  | save "dog_on_beach.png"
"""

MANY = """
use "swaps.retouch"                      # brings its defs; use "swaps.retouch" as s brings s.swap
def restyle(change, how=0.8) = invert edict | attend p2p edit=change cross_replace=how

open "photos/*.png"
  | swap("cat", "dog") | sample guidance=[3, 5, 7.5]
  | save "out/{name}-{guidance}.png"     # every axis is named in the path, or check says which is missing
open "cat.png" caption="a cat"
  | invert [ddim, null_text, edict] | attend [p2p, masactrl] "cat"->["dog", "fox"]   # methods are values too
  | sheet "out/{edit}.png"               # axes not named in the path become rows and columns
open "cat.png" caption="a cat" | restyle("cat"->"wolf", how=0.5) | save "wolf.png"
"""

ROWS = """
let (file, caption, change) = [
  ("cat.png", "a white cat", "white cat"->"black dog"),
  ("dog.png", "a brown dog", ("dog"->"cat" "brown"->"grey")),  # ( ) holds several changes together
]
open path=file caption=caption | invert ddim | attend p2p edit=change | save "out/{name}.png"

def fast() = invert ddim steps=4 | require psnr min=28
def slow() = invert null_text
photo = open "cat.png" caption="a cat"
plain = photo | invert ddim | attend p2p "cat"->"dog" | sample
careful = photo | first(fast(), slow()) | attend p2p "cat"->"dog" | sample   # slow only where fast misses its floor
[plain, careful] | sheet "compare.png"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    (tmp_path / "photos").mkdir()
    cat = Scene("cat", "white", "in a meadow", seed=4)
    for path in ("cat.png", "images/cat.png"):
        draw(tmp_path / path, cat, caption=False)
    draw(tmp_path / "dog.png", Scene("dog", "brown", "on a beach", seed=6), caption=False)
    draw(tmp_path / "photos/a.png", cat)
    draw(tmp_path / "photos/b.png", Scene("cat", "orange", "in the snow", seed=7))
    (tmp_path / "swaps.retouch").write_text("def swap(a, b) = invert ddim | attend p2p a->b\n")
    return tmp_path


def files(folder: Path, pattern: str) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.glob(pattern) if path.name != ".retouch.jsonl"}


def run(folder: Path, recipe: str, *arguments: object):
    (folder / "recipe.retouch").write_text(recipe)
    ran = retouch("run", "recipe.retouch", *arguments, "--set", f"steps={STEPS}", "--json", folder=folder)
    assert ran.code == 0, ran.err + ran.out
    return ran


def test_the_smallest_recipe_takes_the_picture_and_the_output_of_the_command_line(folder):
    run(folder, SMALLEST, "photos/a.png", "-o", "out.png")
    assert Image.open(folder / "out.png").size == (64, 64)


def test_everything_said(folder):
    run(folder, EVERYTHING)
    assert files(folder, "out/*") == {"out/dog.png", "out/mask.png"}
    assert Image.open(folder / "out/mask.png").mode == "L"


def test_a_chain_of_edits_stays_in_latents(folder):
    ran = run(folder, CHAIN)
    done = [event["stage"] for event in ran.events if event.get("event") == "stage"]
    assert done.count("encode vae") == done.count("decode vae") == 1
    assert done.count("sample walk") == 2


@pytest.mark.thorough
def test_many_variants_of_many_pictures(folder):
    run(folder, MANY)
    pictures = {f"out/{name}-{scale}.png" for name in "ab" for scale in ("3", "5", "7.5")}
    assert files(folder, "out/*") == pictures | {"out/dog.png", "out/fox.png"}
    sheet = Image.open(folder / "out/dog.png")
    assert sheet.height > 3 * 128, "three inversions make rows"
    assert sheet.width > 2 * 128, "two controls make columns"
    assert (folder / "wolf.png").exists()


@pytest.mark.thorough
def test_rows_go_together_and_alternatives_are_tried_in_turn(folder):
    ran = run(folder, ROWS)
    assert files(folder, "out/*") == {"out/cat.png", "out/dog.png"}
    assert (folder / "compare.png").exists()
    done = [event["stage"] for event in ran.events if event.get("event") == "stage"]
    notices = [notice for event in ran.events if event.get("event") == "result" for notice in event["notices"]]
    missed = any("require" in notice for notice in notices)
    assert ("invert null_text" in done) == missed, "the slow way is gone only where the fast one misses its floor"


def test_a_requirement_that_holds_leaves_the_other_way_undone(folder):
    ways = "def a() = invert ddim | require psnr min=MIN\ndef b() = invert sdedit\n"
    flow = 'open "cat.png" caption="a cat" | first(a(), b()) | attend p2p "cat"->"dog" | save "{seed}-MIN.png"'
    stages = {}
    for floor in ("0", "100"):
        ran = run(folder, (ways + flow).replace("MIN", floor))
        stages[floor] = [event["stage"] for event in ran.events if event.get("event") == "stage"]
    assert "invert sdedit" not in stages["0"]
    assert "invert sdedit" in stages["100"]


def test_a_requirement_that_is_missed_without_another_way_fails_the_picture(folder):
    flow = 'invert ddim | require psnr min=100 | attend p2p "cat"->"dog" | save "o.png"'
    recipe = f'open "cat.png" caption="a cat" | {flow}'
    ran = retouch("run", "-e", recipe, "--set", f"steps={STEPS}", "--json", folder=folder)
    assert ran.code == 4
    assert [found["code"] for found in ran.event("result")["diagnostics"]] == ["RT502"]
    assert not (folder / "o.png").exists()


@pytest.mark.thorough
def test_a_sweep_over_a_folder_with_a_torn_picture_does_all_the_rest(folder):
    for i, animal in enumerate(("cat", "dog", "rabbit")):
        draw(folder / f"zoo-{i}.png", Scene(animal, "gray", "in a room", seed=i))
    (folder / "zoo-3.png").write_bytes((folder / "zoo-0.png").read_bytes()[:500])
    (folder / "zoo-3.txt").write_text("a torn picture")
    recipe = """
zoo = open "zoo-*.png"
left = zoo | mask box right=0.5
all = zoo | mask box
done = zoo | invert ddim "a"->"the" | blend latent mask=[left, all] | sample guidance=[1, 2, 3]
done | save "out/{name}-{mask}-{guidance}.png"
done | sheet "sheet.png"
"""
    (folder / "sweep.retouch").write_text(recipe)
    ran = retouch("run", "sweep.retouch", "--set", f"steps={STEPS}", "--json", folder=folder)
    assert ran.code == 3, ran.err
    assert len(files(folder, "out/*.png")) == 18
    results = [event for event in ran.events if event.get("event") == "result" and event["item"]]
    failed = [event for event in results if not event["ok"]]
    assert [[found["code"] for found in event["diagnostics"]] for event in failed] == [["RT504"]]
    inverted = [event for event in ran.events if event.get("event") == "stage" and event["stage"] == "invert ddim"]
    assert [event["rows"] for event in inverted] == [2, 2, 2], "each picture is inverted once for all its variants"


def test_measures_of_all_variants_stand_in_one_table(folder):
    run(folder, 'open "photos/*.png" | invert ddim "cat"->"dog" | sample guidance=[1, 4] | measure "change.csv"')
    made_by, head, *lines = (folder / "change.csv").read_text().splitlines()
    assert made_by.startswith("# retouch")
    assert head == "picture,guidance,psnr"
    assert [line.rsplit(",", 1)[0] for line in lines] == ["a,1", "a,4", "b,1", "b,4"]
    assert all(0 < float(line.rsplit(",", 1)[1]) < 60 for line in lines)


def test_latents_are_saved_and_may_be_made_again(folder):
    from safetensors.torch import load_file

    made: list[bytes] = []
    for _ in range(2):
        ran = retouch("run", "-e", 'open "cat.png" | encode | save latents "cat.safetensors"', folder=folder)
        assert ran.code == 0, ran.err
        made.append((folder / "cat.safetensors").read_bytes())
    assert made[0] == made[1]
    said = json.loads(made[0][8 : 8 + int.from_bytes(made[0][:8], "little")])["__metadata__"]
    assert list(said) == ["height", "retouch", "scale", "width"]  # by chance, in one of 24 files
    assert load_file(folder / "cat.safetensors")["latents"].shape == (4, 16, 16)


def test_json_tells_all_files_of_a_run(folder):
    ran = run(folder, 'open "photos/*.png" | invert ddim "cat"->"dog" | sample guidance=[1, 2] | sheet "s.png"')
    told = [Path(path).name for event in ran.events if event.get("event") == "result" for path in event["files"]]
    assert told == ["s.png"]
    assert json.dumps(ran.events)
