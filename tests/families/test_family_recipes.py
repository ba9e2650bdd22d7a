"""One recipe's text, on each family, from a picture to a picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import retouch
from retouch.cli.main import main
from tests.families.family_models import FamilyModel

EDIT = 'invert ddim pinned="always" | mask box right=50% | attend p2p "cat"->"dog" | blend latent | blend pixel'
RECIPES = {
    "p2p in a mask": EDIT,
    "masactrl after EDICT": 'invert edict strength=75% | attend masactrl "cat"->"dog"',
    "null-text": 'invert null_text inner_steps=1 | attend p2p "cat"->"dog" | blend local side=4',
    "words": 'invert edit_friendly | mask attention words=["cat"] | attend p2p "cat"->"dog" | blend latent',
}


@pytest.fixture(scope="module")
def cat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture of no model's multiple, with its caption."""
    folder = tmp_path_factory.mktemp("cat")
    pixels = np.random.default_rng(0).integers(0, 256, (19, 21, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "cat.png")
    (folder / "cat.txt").write_text("a white cat\n")
    return folder / "cat.png"


@pytest.mark.crossed
@pytest.mark.parametrize("name", RECIPES)
def test_the_same_text_edits_with_every_family(model: FamilyModel, name: str, cat: Path, tmp_path: Path):
    """Nothing in it is about the model; it gives a picture of the same size, and another one."""
    recipe = retouch.recipe(
        f'model "{model.folder}"\ndefaults steps=3 seed=1\n{RECIPES[name]}', cat.parent, allow=[model.folder]
    )
    edited, before = np.asarray(recipe(cat).image), np.asarray(Image.open(cat))
    assert edited.shape == before.shape
    changed = (edited != before).any(-1)
    assert changed.any()
    if name == "p2p in a mask":
        assert not changed[:, 11:].any()  # the mask ends inside the eleventh column


@pytest.mark.thorough
@pytest.mark.parametrize("family", ["qwen_image", "z_image", "sdxl"])
@pytest.mark.parametrize(
    "turn",
    [
        'invert ddim "cat"->"small brown dog" | guide pix2pix_zero',
        'invert ddim "cat"->"small brown dog" | guide pix2pix_zero moves="rows"',
        'invert ddim "cat"->"dog" | guide pix2pix_zero before=["a cat"] after=["a small brown dog", "two dogs"]',
        'invert negative_prompt "cat"->"small brown dog" interpolation=0.5',
        'invert negative_prompt "cat"->"dog" interpolation=1',
    ],
)
def test_prompts_of_other_lengths_are_compared_and_mixed(
    model_of: Callable[[str], FamilyModel], family: str, turn: str, cat: Path
):
    """Some models give a prompt as many tokens as it has words; to another the empty one is all zeros."""
    folder = model_of(family).folder
    recipe = retouch.recipe(f'model "{folder}"\ndefaults steps=2\n{turn}', cat.parent, allow=[folder])
    assert (np.asarray(recipe(cat).image) != np.asarray(Image.open(cat))).any()


@pytest.mark.thorough
def test_a_walk_of_the_pictures_own_size_is_planned_and_run(model_of: Callable[[str], FamilyModel], tmp_path: Path):
    """Two sizes in one run, of a family whose schedule depends on the size: each as it is alone."""
    sizes = {"one": (16, 16), "two": (32, 24)}
    for name, size in sizes.items():
        pixels = np.random.default_rng(len(name)).integers(0, 256, (*size, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
        (tmp_path / f"{name}.txt").write_text("a white cat\n")
    recipe = retouch.recipe(
        f'model "{model_of("flux_dev").folder}"\ndefaults steps=3\ninvert ddim "cat"->"dog"',
        tmp_path,
        allow=[model_of("flux_dev").folder],
    )
    paths = [tmp_path / f"{name}.png" for name in sizes]
    together, apart = recipe(paths, exact=True), [recipe(path, exact=True) for path in paths]
    for one, other in zip(together, apart, strict=True):
        assert np.array_equal(np.asarray(one.image), np.asarray(other.image))


def test_draws_are_ranked_where_the_schedule_is_of_the_pictures_size(
    model_of: Callable[[str], FamilyModel], cat: Path, tmp_path: Path
):
    """What tells the size is made although nothing else wants it: the ranking looks at the draws' latents."""
    folder = model_of("flux_dev").folder
    ranked = 'defaults steps=2\ndraw (invert sdedit "cat"->"dog") seeds=2 | rank denoiser looks=1'
    recipe = retouch.recipe(f'model "{folder}"\n{ranked}', tmp_path, allow=[folder])
    assert recipe(cat).image.size == (21, 19)


def test_the_command_line_edits_with_a_folder_of_any_family(
    model_of: Callable[[str], FamilyModel], cat: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """`retouch plan` says the family's defaults; `retouch run` writes a picture that says which model made it."""
    folder = model_of("flux_schnell").folder
    assert main(["plan", "-e", 'invert edict "cat"->"dog"', str(cat), "--model", str(folder)]) == 0
    assert "steps=4" in capsys.readouterr().out.replace("steps = 4", "steps=4")
    out = tmp_path / "dog.png"
    assert main(["run", "-e", 'invert edict "cat"->"dog"', str(cat), "-o", str(out), "--model", str(folder)]) == 0
    assert Image.open(out).size == (21, 19)


@pytest.mark.parametrize("name", ["z_image", "qwen_image", "flux2_klein"])
def test_words_behind_the_end_of_a_template_are_known_to_a_check(
    folder_of: Callable[[str], Path], cat: Path, name: str, capsys: pytest.CaptureFixture[str]
):
    """An edit that the model would not read is refused before it loads, with the word at which it stops."""
    long = "cat " * 1200 + "and a rainbow"
    line = ["check", str(cat), "--model", str(folder_of(name)), "--caption", long, "-e"]
    assert main([*line, 'invert ddim "rainbow"->"fox" steps=2']) == 1
    said = capsys.readouterr().err
    assert ("error[RT511]" in said, "since it stops reading at 'cat'" in said) == (True, True), said
    assert main([*line, 'invert ddim "cat"->"dog" steps=2']) == 0
    assert "warning[RT512]" in capsys.readouterr().err


CROSSED = {
    "half the way, Heun": 'mask box right=50% | solver heun | invert ddim "cat"->"dog" strength=50% | blend pixel',
    "one step": 'mask box right=50% | invert ddim "cat"->"dog" steps=1 | attend p2p | blend local side=4 | blend pixel',
    "a shifted window, DPM-Solver++": "mask box right=50% | crop size=24 | schedule shift | solver dpmpp "
    '| invert ddim "cat"->"dog" strength=50% | blend latent | blend pixel | paste',
    "a window, FlowEdit": 'mask box right=50% | crop size=24 | invert flowedit "cat"->"dog" | blend latent '
    "| blend pixel | paste",
    "a window, words": 'mask box right=50% | crop size=24 | invert edit_friendly "cat"->"dog" strength=50% '
    "| attend p2p | blend local side=4 | blend pixel | paste",
    "shifted, null-text": "mask box right=50% | schedule shift "
    '| invert null_text "cat"->"dog" inner_steps=1 | blend latent | blend pixel',
    "shifted, steered": 'mask box right=50% | schedule shift | invert rf_inversion "cat"->"dog" steps=1 | blend pixel',
}


@pytest.mark.parametrize("name", CROSSED)
def test_what_a_flow_crosses_changes_the_mask_alone_and_has_the_bits_it_has_alone(
    model_of: Callable[[str], FamilyModel], name: str, cat: Path
):
    """Strength, windows, schedules and solvers, of a family whose schedule depends on the size."""
    larger = cat.parent / "larger.png"
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (34, 30, 3), np.uint8)).save(larger)
    head = f'model "{model_of("flux_dev").folder}"\ndefaults steps=3 seed=1\n'
    recipe = retouch.recipe(f"{head}{CROSSED[name]}", cat.parent, allow=[model_of("flux_dev").folder])
    together = recipe([cat, larger], caption="a white cat", exact=True)
    for path, one in zip((cat, larger), together, strict=True):
        edited, before = np.asarray(one.image), np.asarray(Image.open(path))
        half = before.shape[1] // 2 + 1  # the mask ends inside that column
        assert (edited != before)[:, :half].any()
        assert np.array_equal(edited[:, half:], before[:, half:])
    alone = recipe(larger, caption="a white cat", exact=True)
    assert np.array_equal(np.asarray(alone.image), np.asarray(together[1].image))


@pytest.mark.parametrize(
    ("name", "given", "table"), [("stable_diffusion", "", "sd1"), ("sdxl", "", "sdxl"), ("sdxl", ' table="sd1"', "sd1")]
)
def test_a_stage_takes_what_suits_the_family_and_the_recipe_has_the_last_word(
    model_of: Callable[[str], FamilyModel], cat: Path, name: str, given: str, table: str
):
    """Align Your Steps has a table for each of two families."""
    text = f'model "{model_of(name).folder}"\ndefaults steps=3\nschedule ays{given} | invert ddim "cat"->"dog"'
    (graph,) = retouch.recipe(text, cat.parent, allow=[model_of(name).folder]).graphs(cat)
    assert [node.options["table"] for node in graph.nodes if node.card.name == "schedule ays"] == [table]
