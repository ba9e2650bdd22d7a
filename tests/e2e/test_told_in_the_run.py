"""Edits that are none to the model, prompts that it does not read, masks of nothing: told before the run, or in it."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import retouch as python
from retouch import pictures
from retouch.run.loaded.loaded_model import Machine
from retouch.run.session import execute
from tests.e2e.command import retouch
from tests.e2e.sessions import INSTALLED, graphs, unread

LONG = "a red cat on a beach on a beach on a beach on a beach on a red beach on a hat"  # all that the model reads


def unread_machine(*_: object) -> Machine:
    """The one of the model of which no check knows what it reads: loaded once, whoever asks."""
    return _loaded()


@cache
def _loaded() -> Machine:
    return Machine(unread("storybook", None), "cpu", torch.float32)


def outcome(recipe: str, cat: Path, caption: str = ""):
    """What became of one picture."""
    if caption:
        cat.with_suffix(".txt").write_text(caption)
    (only,) = execute(
        graphs(recipe, [cat], cat.parent / "out", unread), registry=INSTALLED, machine=unread_machine
    ).outcomes
    return only


def found(recipe: str, cat: Path, caption: str):
    """What a check says of it, by code."""
    done = retouch("check", "--json", "-e", recipe, cat.name, "--caption", caption, folder=cat.parent)
    return {each["code"]: each["message"] for each in json.loads(done.out)["diagnostics"]}


@pytest.mark.parametrize(
    ("caption", "change", "said"),
    [
        ("a cat in a meadow", '"cat"->"Cat"', "to the model both prompts are the same"),
        (f"{LONG} rainbow", '"rainbow"->"river"', "since it stops reading at 'rainbow'"),
        (f"{LONG} rainbow", '"rainbow"->"river"*2', "since it stops reading at 'rainbow'"),
        (f"{LONG} rainbow", '"rainbow"*2', "since it stops reading at 'rainbow'"),
    ],
)
def test_an_edit_that_is_none_to_the_model_fails_before_a_row_is_paid_for(cat, caption, change, said):
    for stages in ("", " | attend p2p", " | mask diffedit | blend latent"):
        done = outcome(f"invert ddim {change} steps=2{stages}", cat, caption)
        assert {failure.code for failure in done.failures} == {"RT511"}
        assert not any(done.rows.values())
        assert not done.files
    assert said in done.failures[0].message
    told = found(f"invert ddim {change}", cat, caption)
    assert (
        "what the model reads of" in told["RT316"] if "*" in change else said in told["RT511"]
    )  # a weight names words


@pytest.mark.thorough
def test_one_picture_of_several_fails_alone(cat, tmp_path):
    other = tmp_path / "other.png"
    other.write_bytes(cat.read_bytes())
    cat.with_suffix(".txt").write_text("a cat")
    other.with_suffix(".txt").write_text(f"{LONG} cat")
    done = execute(
        graphs('invert ddim "cat"->"fox" steps=2', [cat, other], tmp_path / "out", unread),
        registry=INSTALLED,
        machine=unread_machine,
    ).outcomes
    assert [[f.code for f in each.failures] for each in done] == [[], []]  # both name a cat that is read
    other.with_suffix(".txt").write_text(f"{LONG} rainbow")
    cat.with_suffix(".txt").write_text("a rainbow")
    done = execute(
        graphs('invert ddim "rainbow"->"fox" steps=2', [cat, other], tmp_path / "out", unread),
        registry=INSTALLED,
        machine=unread_machine,
    ).outcomes
    assert [[f.code for f in each.failures] for each in done] == [[], ["RT511"]]
    many = retouch("check", "-e", 'invert ddim "rainbow"->"fox" steps=2', "cat.png", "other.png", folder=tmp_path)
    assert (many.code, many.err.count("error[RT511]"), "this is about" in many.err) == (3, 1, True)


def test_the_mend_of_a_lost_edit_is_enough(cat):
    """What changes, further to the front."""
    done = outcome('invert ddim "rainbow"->"river" steps=2', cat, f"rainbow {LONG}")
    assert not done.failures


def test_weight_for_a_word_that_is_read_is_an_edit(cat):
    assert not outcome('invert ddim "cat"*2 steps=2 | attend p2p', cat, "a cat in a meadow").failures


@pytest.mark.parametrize("begin", [LONG, LONG.removesuffix(" hat")], ids=["between words", "within one"])
@pytest.mark.parametrize(("tail", "word"), [("rainbow over the sea", "rainbow"), ("umbrella, red", "umbrella")])
def test_a_prompt_that_is_cut_names_the_word_at_which_reading_stops(cat, begin, tail, word):
    done = outcome('invert ddim "cat"->"dog" steps=2', cat, f"{begin} {tail}")
    (told,) = [each.message for each in done.warnings if each.code == "RT512"]  # the same of source and target
    assert f"stops reading the prompt at '{word}'" in told
    assert f"not read: '{tail}'" in told
    assert found('invert ddim "cat"->"dog"', cat, f"{begin} {tail}") == {"RT512": told}


def test_what_a_check_tells_of_prompts_the_run_does_not_tell_again(cat):
    done = retouch(
        "run", "-e", 'invert ddim "cat"->"dog" steps=2', "cat.png", "--caption", f"{LONG} rainbow", folder=cat.parent
    )
    assert (done.code, done.err.count("RT512")) == (0, 1)


NAMING = {
    'invert ddim "cat"->"dog" | mask attention words=["rainbow"] | blend latent': "'mask attention' names 'rainbow'",
    'invert ddim "cat"->"dog" | attend p2p words=["rainbow"]': "'attend p2p' names 'rainbow'",
    'invert ddim "cat"->"dog" | attend p2p | blend local words=["rainbow"]': "'blend local' names 'rainbow'",
    'invert ddim | attend p2p edit=("cat"->"dog" "rainbow"*2)': "names 'rainbow'",
}


@pytest.mark.parametrize("recipe", NAMING)
def test_words_beyond_what_the_model_reads_are_told_by_the_check_and_refused_by_the_run(cat, recipe):
    told = found(recipe, cat, f"{LONG} rainbow")
    assert NAMING[recipe] in told["RT316"]
    assert "what the model reads of" in told["RT316"]
    assert "RT316" not in found(recipe, cat, f"rainbow {LONG}")
    recipe = f"defaults steps=2\n{recipe}"
    (failure, *_) = outcome(recipe, cat, f"{LONG} rainbow").failures
    assert (failure.code, "reads no 'rainbow'" in failure.message) == ("RT501", True)


MASKS = [
    ('mask color "#ff00ff" tolerance=0', "RT513"),
    ("mask box right=50% | mask subtract other=half", "RT513"),
    ("mask box left=50% | mask union other=half", "RT514"),
    ("mask box right=50% | mask invert | mask union other=half", "RT514"),
    ("mask box", ""),  # the check has told
    ("mask box right=50%", ""),
    ("mask box | mask subtract other=half", ""),
]


@pytest.mark.parametrize(("mask", "code"), MASKS)
def test_a_mask_of_nothing_and_one_of_everything_are_told_and_no_step_of_the_way(cat, mask, code):
    recipe = f'all = mask box\nhalf = mask box right=50%\ninvert ddim "cat"->"dog" steps=2 | {mask} | blend latent\n'
    used = "\n".join(line for line in recipe.split("\n") if " = " not in line or f"other={line.split()[0]}" in recipe)
    told = [each.code for each in outcome(used, cat, "a cat").warnings]
    assert told == ([code] if code else [])


FILED = 'invert ddim "orange"->"white" steps=2 | mask file "{name}_mask.png" | blend pixel | save "{name}-out.png"'


@pytest.fixture
def masked(cat):
    """The cat with a mask that edits nothing, and two more with one that edits everything, and one that does a part."""
    for name, grey in (("cat", 0), ("whole", 255), ("part", None)):
        picture = Image.open(cat)
        mask = picture.convert("L").point(lambda level: 255 * (level > 128)) if grey is None else None
        (mask or Image.new("L", picture.size, grey)).save(cat.parent / f"{name}_mask.png")
        picture.save(cat.parent / f"{name}.png")
    return cat.parent


@pytest.mark.parametrize("command", ["check", "plan", "run"])
def test_a_file_that_masks_nothing_or_everything_is_told_once_by_every_command(masked, command):
    for name, code in (("cat", "RT513"), ("whole", "RT514"), ("part", "")):
        done = retouch(command, "-e", FILED, f"{name}.png", "--caption", "an orange cat", folder=masked)
        assert done.code == 0
        assert done.err.count("RT51") == (1 if code else 0)
        assert f"warning[{code}]" in done.err or not code
    many = retouch(
        command, "-e", FILED, "cat.png", "whole.png", "part.png", "--caption", "an orange cat", folder=masked
    )
    assert (many.code, many.err.count("RT513"), many.err.count("RT514")) == (0, 1, 1)
    assert many.err.count("this is about") == 2


@pytest.mark.parametrize("command", ["check", "plan", "run"])
def test_no_window_is_cut_round_a_file_that_masks_nothing(masked, command):
    text = 'mask file "{name}_mask.png" | crop | invert sdedit "cat"->"dog" steps=2 | paste | save "{name}-out.png"'
    done = retouch(command, "-e", text, "cat.png", "part.png", "--caption", "an orange cat", folder=masked)
    assert (done.code, done.err.count("error[RT510]")) == (3, 1)
    assert "RT513" not in done.err


def test_an_all_black_file_is_told_for_its_picture_and_the_result_is_the_source(cat):
    Image.new("L", Image.open(cat).size, 0).save(cat.parent / "none.png")
    text = 'open "cat.png" | invert ddim "orange"->"white" steps=2 | mask file "none.png" | blend pixel | save "o.png"'
    done = retouch("run", "--json", "-e", text, folder=cat.parent)
    assert done.code == 0
    first, *others = map(json.loads, done.out.splitlines())
    (told,) = first["diagnostics"]
    assert (told["code"], told["severity"]) == ("RT513", "warning")
    assert "covers 0% of the picture" in told["message"]
    assert "RT513" not in str(others)
    assert np.array_equal(np.asarray(Image.open(cat.parent / "o.png")), np.asarray(Image.open(cat).convert("RGB")))


def test_python_is_told_the_same(cat):
    made = python.recipe('invert ddim "orange"->"white" steps=2 | mask box | blend latent', cat.parent)(cat)
    assert any("covers 100% of the picture" in notice for notice in made.notices)


@pytest.mark.thorough
def test_python_is_told_what_a_check_warns_of(masked):
    """Of the recipe with every picture, of a picture with that one."""
    text = "seed 3\n" + FILED
    first, whole, part = python.recipe(text, masked)(
        [masked / f"{name}.png" for name in ("cat", "whole", "part")], caption="an orange cat"
    )
    for made, said in ((first, "covers 0%"), (whole, "covers 100%"), (part, "")):
        assert sum("covers" in notice for notice in made.notices) == (1 if said else 0)
        assert any(said in notice for notice in made.notices)
        assert sum("seed" in notice for notice in made.notices) == 1, made.notices


def test_a_sheet_says_where_it_cannot_be_written_and_why_it_is_not_made_again(cat, monkeypatch):
    folder = cat.parent
    text = 'big = open "cat.png" | upscale\nbig | save "out/big.png"\nbig | sheet "out/sheet.png"'
    assert retouch("run", "-e", text, folder=folder).code == 0
    again = retouch("rerun", "out/sheet.png", folder=folder)
    assert (again.code, "made of several results, as a sheet or a table is" in again.err) == (1, True)
    below = retouch("status", ".", folder=folder)
    assert (below.code, "help: results are in out" in below.err) == (1, True)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pictures, "write", full)
    done = retouch("run", "-e", text, "--again", folder=folder)
    assert "'sheet.png' could not be written: No space left" in done.err.replace(f"{folder}/out/", "")
    assert " --> -e:3:7\n" in done.err
