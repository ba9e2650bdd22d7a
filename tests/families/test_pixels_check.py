"""Models of pixels as the check sees them: words that nobody reads, classes, folders that are none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import retouch
from retouch.cli.main import main
from retouch.models.catalog import BrokenModel, find
from retouch.paths import folder as folder_of_recipes
from tests.families.family_models import FamilyModel
from tests.families.pixel_models import PICTURE, two_pictures
from tests.families.test_family_folders import changed


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pictures, without captions."""
    return two_pictures(tmp_path_factory.mktemp("pictures"))


REFUSED = {
    "RT326": (
        "mask diffedit | invert ddim | blend latent",
        'mask attention words=["cat"] | invert ddim | blend latent',
        "invert ddim | blend local",
        "invert null_text",
        "invert negative_prompt",
        "invert ddim | guide proximal",
        "invert ddim | guide semantic",
        "invert ddim | guide pix2pix_zero",
        "invert ddim | attend p2p",
    ),
    "RT327": ('invert ddim "cat"->"dog"', 'invert ddim "a dog"', 'invert ddim negative="blurry"'),
    "RT328": (
        "invert ddim | guide norm guidance=2",
        "invert edict guidance=2",
        "invert edit_friendly source_guidance=3",
        "invert ddim source_guidance=0",
    ),
}


@pytest.mark.parametrize(("code", "text"), [(code, text) for code, texts in REFUSED.items() for text in texts])
def test_what_words_would_do_is_refused_before_anything_loads(
    code: str, text: str, folder: Path, capsys: pytest.CaptureFixture[str]
):
    """By its own code and no other, with what to write instead."""
    assert main(["check", "-e", f'model "storybook_pixels"\n{text}', str(folder / "one.png")]) == 1
    told = "".join(capsys.readouterr())
    assert told.count("error[") == 1, told
    assert f"error[{code}]" in told
    assert "= help: " in told


def test_words_of_the_command_line_are_refused_where_they_are_given(folder: Path, capsys: pytest.CaptureFixture[str]):
    given = ["--set", "guidance=3", "--set", "negative=ugly", "--model", "storybook_pixels"]
    assert main(["check", "-e", "invert ddim", str(folder / "one.png"), *given]) == 1
    told = "".join(capsys.readouterr())
    assert "RT327" in told
    assert "RT328" in told
    assert told.count("command line:1") == 2


def test_a_caption_that_nobody_reads_is_told_and_no_mistake(folder: Path, capsys: pytest.CaptureFixture[str]):
    """On the recipe's `open` and on the command line; not where some stage reads it, nor where no network is asked."""
    one, model = str(folder / "one.png"), 'model "storybook_pixels"\n'
    for text, given, name in (
        ('open "one.png" caption="a cat" | invert ddim | save "o.png"', [], "'caption'"),
        ("invert ddim", [one, "--caption", "a cat"], "'--caption'"),
    ):
        (folder / "r.retouch").write_text(model + text)
        assert main(["check", str(folder / "r.retouch"), *given]) == 0
        told = "".join(capsys.readouterr())
        assert f"{name} changes nothing here: 'storybook_pixels' reads no words" in told
    for text in (
        "mask box right=50%",
        'invert sdedit | guide image_text "cat"->"dog"',
        'model "storybook" | invert ddim',
    ):
        assert main(["check", "-e", model + text, one, "--caption", "a cat"]) == 0
        assert "RT227" not in "".join(capsys.readouterr())


def test_a_vae_that_would_be_idle_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]):
    vae = find("storybook").folder / "vae"
    assert main(["check", "-e", f'model "storybook_pixels" vae="{vae}"\ninvert ddim', str(folder / "one.png")]) == 1
    told = "".join(capsys.readouterr())
    assert "RT433" in told
    assert "works on pixels and has no use for one" in told


def test_a_mask_may_be_made_by_words_with_another_model(folder: Path):
    """An edit is refused on the model that it is written for, not on all of a turn."""
    text = (
        'model "storybook"\nmask diffedit "cat"->"dog" maps=1 | model "storybook_pixels" | invert sdedit | blend latent'
    )
    assert retouch.recipe(f"defaults steps=2\n{text}", folder)(folder / "one.png").image.size == PICTURE[::-1]


def test_a_class_that_there_is_not_is_refused(model_of: Callable[[str], FamilyModel], folder: Path, capsys):
    for text in ('"cat"->"3"', '"1"->"5"', '"1"->"3" negative="dog"'):
        recipe = f'model "{model_of("classes").folder}"\ninvert ddim {text}'
        assert main(["check", "-e", recipe, str(folder / "one.png"), "--allow", str(model_of("classes").folder)]) == 1
        told = "".join(capsys.readouterr())
        assert "RT329" in told
        assert "from 0 to 4" in told


def test_what_is_said_of_such_a_model_is_true_of_it(folder: Path, capsys: pytest.CaptureFixture[str]):
    """No latents, no prompt of two tokens less than none, and memory that is known."""
    assert main(["models", "storybook_pixels"]) == 0
    assert "read no prompt" in capsys.readouterr().out
    one = str(folder / "one.png")
    assert (
        main(
            ["plan", "-e", 'model "storybook_pixels"\nmask box left=25% right=75% | invert sdedit | blend latent', one]
        )
        == 0
    )
    told = capsys.readouterr().out
    assert "'invert sdedit' works on pixels from -1 to 1" in told
    assert "guidance=1.0 (model)" in told
    assert "at most" in told
    text = 'model "storybook_pixels"\ninvert sdedit | attend masactrl coarsest=2'
    assert main(["check", "-e", text, one]) == 1
    told = "".join(capsys.readouterr())
    assert "at 1 to 2 pixels a token" in told
    assert "coarsest=4" in told
    info = find("storybook_pixels")
    assert info.known.working
    small, large = (info.known.working.row((side, side), 0) for side in (32, 64))
    assert 0 < small < large <= 4 * small
    assert info.known.working.picture(64 * 64) == 64 * 64 * 6


WRONG = {
    "grey": ("unet", {"in_channels": 1, "out_channels": 1}, "takes 1 channels and gives 1; of pictures"),
    "super-resolution": ("unet", {"in_channels": 6}, "takes 6 channels and gives 3"),
    "fourier": ("unet", {"time_embedding_type": "fourier"}, "its time as 'fourier'"),
    "no size": ("unet", {"sample_size": None}, "lacks or misstates|lacks sample_size|sample_size"),
    "skips": ("unet", {"down_block_types": ["SkipDownBlock2D"] * 3}, "uses 'SkipDownBlock2D'"),
    "heads": ("unet", {"attention_head_dim": 24}, "attention_head_dim is 24; a divisor of 32"),
    "wider": ("unet", {"block_out_channels": [32, 32, 96]}, "conv1.weight is 64 x 32"),
    "told twice": ("unet", {"class_embed_type": "timestep"}, "told a class by 'timestep'"),
    "sample": ("scheduler", {"prediction_type": "sample"}, "it predicts 'sample'"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_folder_that_cannot_be_read_as_one_is_refused_in_words(
    case: str, folder_of: Callable[[str], Path], tmp_path: Path
):
    part, change, words = WRONG[case]
    there = shutil.copytree(folder_of("ddpm"), tmp_path / "tiny", copy_function=os.link)
    changed(there / part / ("config.json" if part == "unet" else "scheduler_config.json"), change)
    with pytest.raises(BrokenModel, match=words):
        find(str(there))


@pytest.mark.thorough
def test_the_embedded_one_brings_a_drawing_back_and_makes_another_inside_of_a_mask(tmp_path: Path):
    """Fifty steps up and down; and SDEdit in ten under a mask."""
    cat = folder_of_recipes("recipes") / "pictures" / "cat_meadow.png"
    again = retouch.recipe('model "storybook_pixels"\ninvert ddim | require psnr min=30')(cat)
    assert again.ok
    made = retouch.recipe('model "storybook_pixels"\nmask box left=50% | invert sdedit steps=10 | blend latent')(cat)
    before, after = (np.asarray(each).astype(int) for each in (Image.open(cat).convert("RGB"), made.image))
    assert np.abs(after - before)[:, 32:].mean() > 5
    assert np.abs(after - before)[:, :32].max() <= 1


def test_a_stage_that_reads_words_itself_lets_an_edit_be_written(tmp_path: Path):
    """An image-text model leads a model that reads none, inside of a mask; outside not one byte changes."""
    pictures = shutil.copytree(folder_of_recipes("recipes") / "pictures", tmp_path / "pictures")
    text = 'mask file "cat_meadow_mask.png" | invert sdedit strength=50% | guide image_text "cat"->"dog" | blend latent'
    recipe = retouch.recipe(f'model "storybook_pixels"\ndefaults steps=8\n{text} | blend pixel', pictures)
    made, plain = (
        recipe(pictures / "cat_meadow.png"),
        retouch.recipe(
            f'model "storybook_pixels"\ndefaults steps=8\n{text} | blend pixel'.replace(
                'guide image_text "cat"->"dog" | ', ""
            ),
            pictures,
        )(pictures / "cat_meadow.png"),
    )
    before = np.asarray(Image.open(pictures / "cat_meadow.png").convert("RGB"))
    outside = made.mask.pixels(64, 64).numpy() == 0
    assert np.array_equal(np.asarray(made.image)[outside], before[outside])
    assert not np.array_equal(np.asarray(made.image), np.asarray(plain.image))
