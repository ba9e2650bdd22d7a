"""Each file of cases/ gives the result that its page states, from the command line and from Python alike."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import retouch as python
from retouch import pictures
from retouch.paths import folder
from tests.e2e.command import draw, in_warm_process, left_in, retouch

CASES = Path(__file__).parent / "cases"
SQUARE = np.zeros((64, 64), np.uint8)
SQUARE[16:48, 16:48] = 255
MEANT = ("alpha_on_white", "alpha_on_black", "alpha_on_red", "grey_with_opaque_alpha", "erased_from_the_picture")
NUMBERED = {"labels_0_and_1": 1, "palette_label_3": 3}
MEADOW = "an orange cat in a meadow"
EDIT = 'invert sdedit "cat"->"dog" steps=2'


def recipe(name: str, more: str = "") -> str:
    return f'open "cat.png" | mask file "{name}.png"{more} | save mask "out.png"\n'


@pytest.fixture
def here(cat: Path) -> Path:
    for path in (CASES / "masks").iterdir():
        shutil.copy(path, cat.parent)
    return cat.parent


def by_command(here: Path, text: str) -> np.ndarray | str:
    """The mask, or why there is none; `check`, `plan` and `run` agree on whether there will be one."""
    done = [retouch(command, "-e", text, folder=here) for command in ("check", "plan", "run")]
    assert len({each.code for each in done}) == 1
    return done[-1].err + done[-1].out if done[-1].code else np.asarray(Image.open(here / "out.png"))


def by_python(here: Path, text: str) -> np.ndarray | str:
    try:
        made = python.recipe(text, here)()
    except python.RecipeError as err:
        return str(err)
    return (made.mask.pixels(64, 64).numpy() * 255).round().astype(np.uint8)


both = pytest.mark.parametrize("mask_of", [by_command, by_python], ids=["command", "python"])
Read = Callable[[Path, str], "np.ndarray | str"]


@both
@pytest.mark.parametrize("name", MEANT)
def test_a_mask_of_alpha_or_grey_means_its_square(here: Path, mask_of: Read, name: str) -> None:
    assert np.array_equal(mask_of(here, recipe(name)), SQUARE)


@both
@pytest.mark.parametrize("name", NUMBERED)
def test_a_file_of_numbers_means_its_square_by_the_number_and_nothing_without(
    here: Path, mask_of: Read, name: str
) -> None:
    refused = mask_of(here, recipe(name))
    assert isinstance(refused, str)
    assert "error[RT417]" in refused
    assert f"write label={NUMBERED[name]}" in refused
    assert np.array_equal(mask_of(here, recipe(name, f" label={NUMBERED[name]}")), SQUARE)


@both
def test_a_number_that_is_not_there_is_refused_with_those_that_are(here: Path, mask_of: Read) -> None:
    refused = mask_of(here, recipe("palette_label_3", " label=2"))
    assert isinstance(refused, str)
    assert "areas: 0, 3" in refused


@both
def test_a_mask_of_another_size_is_refused_before_anything_runs(here: Path, mask_of: Read) -> None:
    refused = mask_of(here, recipe("another_size"))
    assert isinstance(refused, str)
    assert "error[RT417]" in refused
    assert "it is 48×48 pixels and the picture 64×64" in refused


def test_a_black_mask_edits_nothing_and_says_so(here: Path) -> None:
    done = retouch("run", "-e", recipe("all_black"), "--json", folder=here)
    assert done.code == 0
    assert done.out.count("RT513") == 1
    assert any("covers 0% of the picture" in notice for notice in python.recipe(recipe("all_black"), here)().notices)
    assert not np.asarray(Image.open(here / "out.png")).any()


def test_every_mask_is_here() -> None:
    assert {path.stem for path in (CASES / "masks").iterdir()} == {*MEANT, *NUMBERED, "another_size", "all_black"}


# ---------------------------------------------------------------- captions

SAID = {
    "bom": MEADOW,
    "utf16": MEADOW,
    "two_spaces_and_break": MEADOW,
    "nfd": "an orange cat in a café",
    "curly": "a cat's hat in a meadow",
    "empty": None,
}


@pytest.fixture(params=[*SAID, "latin1"])
def captioned(request: pytest.FixtureRequest, cat: Path) -> tuple[str, Path]:
    shutil.copy(CASES / "captions" / f"{request.param}.txt", cat.with_suffix(".txt"))
    return request.param, cat


@pytest.mark.parametrize("opened", ["", 'open "cat.png" | '], ids=["named", "opened"])
def test_a_caption_is_what_its_file_means(captioned: tuple[str, Path], opened: str) -> None:
    name, cat = captioned
    named = () if opened else (cat,)
    run = retouch("run", "-e", f"{opened}{EDIT}", *named, "-o", "dog.png", folder=cat.parent)
    call = python.recipe(opened + EDIT, cat.parent)
    if name == "latin1":
        assert run.code == 1
        assert "error[RT418]: the caption 'cat.txt' cannot be read" in run.err
        with pytest.raises(python.RecipeError, match="RT418"):
            call.graphs(*named)
        return
    assert run.code == 0, run.err
    prompts = {edge.settings["source"] for edge in edits(call.graphs(*named))}
    assert prompts == {SAID[name] or "cat"}
    if not opened:
        assert (pictures.metadata(cat.with_name("dog.png")) or {})["caption"] == (SAID[name] or "")


def edits(graphs: tuple) -> list:
    return [edge for graph in graphs for node in graph.nodes for _, edge in node.edges() if "source" in settings(edge)]


def settings(edge: object) -> dict:
    return getattr(edge, "settings", {})


@pytest.mark.thorough
def test_words_are_found_however_either_side_is_written(cat: Path) -> None:
    """Composed or not, straight or curly, with one blank or more: in the caption, and in the recipe."""
    forms = {
        "a café": ("a cafe\u0301", "a  café", "a\u00a0café"),
        "cat's hat": ("cat’s hat", "cat\u02bcs\nhat"),
        '"big" cat': ("“big” cat", "„big‟ cat"),
    }
    for plain, others in forms.items():
        for caption in (plain, *others):
            for word in (plain, *others):
                written = word.replace('"', '\\"').replace("\n", " ")
                text = f'invert sdedit "{written}"->"dog" steps=2'
                (graph,) = python.recipe(text, cat.parent).graphs(cat, caption=f"I see {caption} here")
                assert {edge.settings["target"] for edge in edits((graph,))} == {"I see dog here"}


def test_a_link_out_of_the_folder_is_not_read(cat: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    secret = tmp_path_factory.mktemp("private") / "secret.txt"
    secret.write_text("a password")
    cat.with_suffix(".txt").unlink()
    cat.with_suffix(".txt").symlink_to(secret)
    done = retouch("run", "-e", EDIT, "cat.png", "-o", "dog.png", folder=cat.parent)
    assert done.code == 0
    assert "warning[RT419]: the caption 'cat.txt' is a link out of its folder" in done.err
    assert (pictures.metadata(cat.with_name("dog.png")) or {})["caption"] == ""
    assert {edge.settings["source"] for edge in edits(python.recipe(EDIT, cat.parent).graphs(cat))} == {"cat"}


def test_a_link_within_the_folder_is_read(cat: Path) -> None:
    cat.with_suffix(".txt").rename(cat.with_name("words.txt"))
    cat.with_suffix(".txt").symlink_to("words.txt")
    assert {edge.settings["source"] for edge in edits(python.recipe(EDIT, cat.parent).graphs(cat))} == {MEADOW}


# ---------------------------------------------------------------- colour


def test_a_linear_profile_that_is_called_srgb_is_read_by_what_it_holds(tmp_path: Path) -> None:
    shutil.copy(CASES / "linear_srgb_profile.png", tmp_path / "cat.png")
    right = pictures.read(folder("recipes") / "pictures" / "cat_meadow.png").rgb.astype(int)
    text = 'open "cat.png" | encode | decode'
    (made,) = python.recipe(text, tmp_path)().images
    unmanaged = np.asarray(Image.open(tmp_path / "cat.png").convert("RGB")).astype(int)
    assert np.abs(unmanaged - right).mean() > 40
    assert np.abs(pictures.read(tmp_path / "cat.png").rgb - right).mean() < 2
    assert np.abs(np.asarray(made) - right).mean() < 10  # as near as the codec comes
    done = retouch("run", "-e", text, "-o", "out.png", "--json", folder=tmp_path)
    assert done.code == 0, done.err
    assert "Linear sRGB" in str(done.event("result")["notices"])
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out.png")), np.asarray(made))


# ---------------------------------------------------------------- a mask beside each picture


@pytest.fixture
def three(tmp_path: Path) -> list[Path]:
    """Three pictures, each with its own mask: a column of its own width."""
    found = []
    for i, name in enumerate(("one", "two", "three")):
        found.append(draw(tmp_path / f"{name}.png"))
        mask = np.zeros((64, 64), np.uint8)
        mask[:, : 8 * (i + 1)] = 255
        Image.fromarray(mask).save(tmp_path / f"{name}_mask.png")
    return found


BESIDE = 'mask file "{name}_mask.png" | save mask "out/{name}.png"'


def test_a_mask_lies_beside_each_picture(three: list[Path]) -> None:
    done = retouch("run", "-e", BESIDE, *three, folder=three[0].parent)
    assert done.code == 0, done.err
    for i, path in enumerate(three):
        made = np.asarray(Image.open(path.parent / "out" / path.name))
        assert np.array_equal(made > 0, np.arange(64)[None].repeat(64, 0) < 8 * (i + 1))
    assert retouch("check", "-e", BESIDE, folder=three[0].parent).code == 0
    results = python.recipe(BESIDE, three[0].parent)([*map(str, three)])
    assert [int(result.mask.pixels(64, 64)[0].sum()) for result in results] == [8, 16, 24]


@pytest.mark.parametrize("wrong", ["missing", "torn", "small", "numbers"])
def test_a_mask_that_is_wrong_for_one_picture_is_that_pictures_alone(three: list[Path], wrong: str) -> None:
    mask = three[1].with_name("two_mask.png")
    code = {"missing": "RT402", "torn": "RT504", "small": "RT417", "numbers": "RT417"}[wrong]
    if wrong == "missing":
        mask.unlink()
    elif wrong == "torn":
        mask.write_text("no picture")
    else:
        Image.new("L", (32, 32) if wrong == "small" else (64, 64), 255 if wrong == "small" else 1).save(mask)
    done = retouch("run", "-e", BESIDE, *three, folder=three[0].parent)
    assert done.code == 3
    assert left_in(three[0].parent / "out") == {"one.png", "three.png"}
    alone = retouch("run", "-e", BESIDE, three[1], folder=three[0].parent)
    assert alone.code == 1
    assert f"error[{code}]" in alone.err
    assert "report it" not in done.out + done.err


def test_a_field_that_is_not_known_is_told(three: list[Path]) -> None:
    done = retouch("check", "-e", 'mask file "{nmae}_mask.png" | save mask "o.png"', folder=three[0].parent)
    assert done.code == 1
    assert "error[RT406]" in done.err
    assert "{name}" in done.err or "'name'" in done.err


def test_a_picture_is_opened_by_a_field_of_the_recipe(three: list[Path]) -> None:
    text = 'let which = ["one", "two"]\nopen "{which}.png" caption=which | encode | decode | save "out/{which}.png"\n'
    done = retouch("run", "-e", text, folder=three[0].parent)
    assert done.code == 0, done.err
    assert left_in(three[0].parent / "out") == {"one.png", "two.png"}


@pytest.mark.thorough
def test_a_missing_mask_is_no_traceback_in_a_process_of_its_own(three: list[Path]) -> None:
    three[1].with_name("two_mask.png").unlink()
    done = in_warm_process("run", "-e", BESIDE, *three, folder=three[0].parent)
    assert done.code == 3
    assert "Traceback" not in done.err
