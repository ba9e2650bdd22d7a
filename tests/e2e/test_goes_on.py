"""A run goes on where the last one was: what is there as it would be made is not made again, and nothing is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest
from PIL import Image

import retouch as python
from retouch.graph.done import done
from retouch.graph.work import Making
from retouch.pictures import made_by_retouch, metadata
from retouch.pictures.journal import NAME, FolderJournal
from tests.e2e.command import COPY, retouch
from tests.e2e.command import run_text as run
from tests.e2e.sessions import INSTALLED, graphs
from tests.pictures.picture_makers import paint

pytestmark = pytest.mark.usefixtures("small_for_commands")


def test_what_is_there_is_not_made_again_and_it_is_said(three: Path) -> None:
    pictures = ("one.png", "two.png", "three.png", "-o", "out")
    assert run(three, *pictures).files("saved") == {"one.png", "two.png", "three.png"}
    before = {path.name: path.stat().st_mtime_ns for path in (three / "out").iterdir()}
    words = retouch("run", "-e", COPY, *pictures, folder=three)
    assert (words.code, words.out) == (0, "all 3 results are there already; --again makes them anew\n")
    assert {path.name: path.stat().st_mtime_ns for path in (three / "out").iterdir()} == before
    (three / "out" / "two.png").unlink()
    again = run(three, *pictures)
    assert (again.code, again.files("kept"), again.files("saved")) == (0, {"one.png", "three.png"}, {"two.png"})
    assert run(three, *pictures, "--again").files("saved") == {"one.png", "two.png", "three.png"}


CHANGES = {
    "dtype": (["--dtype", "bfloat16"], True),
    "stamp": (["--stamp", "minimal"], True),
    "model": (["--model", "storybook_pixels"], True),
    "seed": (["--seed", "1"], False),  # of noise that this recipe does not draw
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_made_of_something_else_is_made(three: Path, name: str) -> None:
    """How the run is set counts where it decides what is in the file."""
    run(three, "one.png", "-o", "out")
    more, anew = CHANGES[name]
    ran = run(three, "one.png", "-o", "out", *more)
    assert (ran.files("saved") == {"one.png"}) is anew, ran.out + ran.err
    assert (ran.files("kept") == {"one.png"}) is not anew


def test_recipe_inputs_and_code_count_and_places_do_not(three: Path) -> None:
    """The digest of a result's work, part by part."""
    edit = 'invert ddim "cat"->"dog" steps=2 | mask file "{name}_mask.png" | blend latent | save "o/a.png"'
    Image.new("L", (64, 64), 255).save(three / "one_mask.png")

    def work(recipe: str = edit, folder: Path = three, how: Making | None = None, **settings: object) -> str:
        (graph,) = graphs(recipe, [folder / "one.png"], three, **settings)
        return (how or Making(built_in=INSTALLED.built_in)).works(graph)[graph.results[0]]

    plain = work()
    assert work(f"# a remark\n{edit}") == plain
    assert work(how=Making()) != plain  # of a plugin that does not come with the engine, the code counts
    changes = (("dog", "fox"), ("=2", "=3"), ("latent", "pixel"), ("a.png", "a.jpg"), ("latent", "latent shrink=1"))
    changed = [work(edit.replace(*change)) for change in changes]
    assert work(edit.replace("a.png", "b.png")) == work(seed=1) == plain  # of noise that nothing here draws
    away = three / "away"
    away.mkdir()
    for name in ("one.png", "one.txt", "one_mask.png"):
        (away / name).write_bytes((three / name).read_bytes())
    assert work(edit.replace('"{name}', '"away/{name}'), away) == plain
    Image.new("L", (64, 64), 99).save(three / "one_mask.png")
    changed.append(work())
    (three / "one.txt").write_text("a cat by the sea")
    changed.append(work())
    Image.new("RGB", (64, 64)).save(three / "one.png")
    changed.append(work())
    assert len({plain, *changed}) == len(changed) + 1


EVERY_KIND = (
    'open "one.png" | encode | decode | save "x{ending}"\n',
    'open "one.png" | mask box right=50% | save mask "x{ending}"\n',
)


@pytest.mark.parametrize("stamp", ["full", "minimal", "none"])
def test_every_kind_of_result_is_known_again(three: Path, stamp: str) -> None:
    """Pictures of every format, masks, latents, tables, contact sheets and sweeps, whatever they say of themselves."""
    endings = (".png", ".jpg", ".webp", ".tif")
    recipe = "".join(EVERY_KIND[0].replace("{ending}", each) for each in endings)
    recipe += EVERY_KIND[1].replace("x{ending}", "mask.webp")
    recipe += 'open "one.png" | encode | decode | save "q.webp" quality=40\n'
    recipe += 'open "one.png" | encode | save latents "x.safetensors"\n'
    recipe += 'let s = [1, 2]\nopen "one.png" | invert ddim steps=s | sample | decode | save "{s}.png"\n'
    recipe += 'open "*.png" | encode | decode | sheet "sheet.jpg"\nopen "*.png" | encode | decode | measure "f.csv"\n'
    names = {*(f"x{each}" for each in endings), "mask.webp", "q.webp", "x.safetensors", "1.png", "2.png"}
    names |= {"sheet.jpg", "f.csv"}
    (three / "in").mkdir()
    recipe = recipe.replace('"*.png"', '"in/*.png"')
    for name in ("two.png", "three.png"):
        (three / name).rename(three / "in" / name)
    first = run(three, "--stamp", stamp, recipe=recipe)
    assert first.files("saved") == names, first.out
    again = run(three, "--stamp", stamp, recipe=recipe)
    assert (again.code, again.files("kept"), again.files("saved")) == (0, names, set()), again.out
    if stamp == "full":  # without its journal, a picture is known by what it says
        (three / NAME).unlink()
        alone = run(three, recipe=recipe)
        assert alone.files("kept") == names - {"x.safetensors", "f.csv"}, alone.out


def test_a_sheet_that_lacks_something_is_made_again_with_all(three: Path) -> None:
    good = (three / "three.png").read_bytes()
    (three / "three.png").write_bytes(good[:-900])
    recipe = f'{COPY} | sheet "all.png"\n'
    args = ("one.png", "two.png", "three.png")
    assert run(three, *args, recipe=recipe).code == 3
    assert run(three, *args, recipe=recipe).files("saved") == {"all.png"}
    (three / "three.png").write_bytes(good)
    assert run(three, *args, recipe=recipe).files("saved") == {"all.png"}
    assert run(three, *args, recipe=recipe).files("kept") == {"all.png"}
    assert run(three, *args[:2], recipe=recipe).files("saved") == {"all.png"}


TOUCHED = [*product(["painted", "journal lost"], ["png", "jpg", "webp", "tif"]), ("stamp lost", "png"), ("torn", "jpg")]


@pytest.mark.parametrize(("how", "ending"), TOUCHED)
def test_a_result_that_was_edited_by_hand_is_not_overwritten(three: Path, ending: str, how: str) -> None:
    out = three / f"out.{ending}"
    args = ("one.png", "-o", out.name)
    assert run(three, *args).code == 0
    if how == "torn":
        out.write_bytes(out.read_bytes()[:-200])
    elif how == "stamp lost":
        Image.open(out).convert("L").save(out)
    else:
        paint(out)
    if how == "journal lost":
        (three / NAME).unlink()
    was = out.read_bytes()
    for command, more in (("check", []), ("plan", []), ("run", []), ("run", ["--again"])):
        refused = retouch(command, "-e", COPY, *args, *more, folder=three)
        assert (refused.code, "RT440" in refused.err) == (1, True), refused.err
    assert out.read_bytes() == was
    assert run(three, *args, "--force").code == 0
    assert made_by_retouch(out)


def test_one_that_was_edited_is_refused_and_the_others_go_on(three: Path) -> None:
    args = ("one.png", "two.png", "three.png", "-o", "out")
    run(three, *args)
    paint(three / "out" / "two.png")
    (three / "out" / "three.png").unlink()
    ran = run(three, *args)
    assert (ran.code, ran.files("kept"), ran.files("saved")) == (3, {"one.png"}, {"three.png"})


def test_a_result_of_other_work_is_replaced_as_ever(three: Path) -> None:
    run(three, "one.png", "-o", "out.png")
    ran = run(three, "one.png", "-o", "out.png", recipe="invert ddim steps=1")
    assert (ran.code, ran.files("saved")) == (0, {"out.png"})


def test_a_script_goes_on_where_it_was(three: Path) -> None:
    edit = python.recipe(f'{COPY} | save "out/{{name}}.png"', three)
    pictures = [three / f"{name}.png" for name in ("one", "two", "three")]
    first = edit(pictures)
    assert [[path.name for path in each.files] for each in first] == [["one.png"], ["two.png"], ["three.png"]]
    (three / "out" / "two.png").unlink()
    again = edit(pictures, resume=True)
    assert [(bool(each.images), [path.name for path in each.files]) for each in again] == [
        (False, ["one.png"]),
        (True, ["two.png"]),
        (False, ["three.png"]),
    ]
    with pytest.raises(AttributeError, match="no picture was made"):
        _ = again[0].image
    assert all(each.images for each in edit(pictures))
    assert run(three, *pictures, recipe=f'{COPY} | save "out/{{name}}.png"').files("kept") == {
        "one.png",
        "two.png",
        "three.png",
    }


# ---------------------------------------------------------------- what dead runs left


def test_what_a_dead_run_left_is_removed_and_what_a_living_one_writes_is_not(three: Path) -> None:
    (three / "out").mkdir()
    code = (
        "import sys, time; from pathlib import Path; from retouch.pictures.atomic import replacing\n"
        "with replacing(Path(sys.argv[1])) as file:\n    print(file.name, flush=True); time.sleep(600)\n"
    )
    command = [sys.executable, "-c", code, str(three / "out" / "x.png")]
    writers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        dead, living = (Path(each.stdout.readline().strip()) for each in writers if each.stdout)
        writers[0].kill()
        writers[0].wait()
        mine = three / "out" / ".notes.part"
        mine.write_text("mine")
        assert run(three, "one.png", "-o", "out").code == 0
        assert (dead.exists(), living.exists(), mine.exists()) == (False, True, True)
    finally:
        for each in writers:
            each.kill()
            each.communicate()


def test_the_part_of_the_graph_that_is_left_is_a_graph(three: Path) -> None:
    """What is done takes no row of what is not: each result that is there leaves with all that it alone needs."""
    recipe = 'invert ddim steps=1 | save latents "a.safetensors"\nencode | decode | save "b.png"\n'
    recipe = "".join(f'open "one.png" | {line}\n' for line in recipe.splitlines())
    run(three, recipe=recipe)
    (three / "b.png").unlink()
    (graph,) = graphs(recipe, [], three)
    found = done([graph], Making(built_in=INSTALLED.built_in))
    assert [node.card.family for node in found.left[0].nodes] == ["open", "encode", "decode", "save"]
    assert [path.name for path in found.files[0]] == ["a.safetensors"]


def test_what_is_kept_says_what_it_was_made_of(three: Path) -> None:
    run(three, "one.png", "-o", "out.png")
    told = metadata(three / "out.png") or {}
    line = FolderJournal(three).saved("out.png") or {}
    assert told["work"] == line["work"]
    assert len(told["pixels"]) == 64
    assert json.loads(told["inputs"])["one.png"]
