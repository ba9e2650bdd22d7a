"""Subjects learnt from pictures: shared by a run, saved and read again, gone on with after a kill, or refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from tests.e2e.command import ROOT, draw, retouch
from tests.models.tuning_runs import assert_read_is_fresh, pixels, ran

OPEN = 'open "three.png" caption="a white cat on a beach"'
PAST = 'prompt="a sks cat" pictures="train" lr=0.002'
WORD = (
    'tune textual_inversion word="<toy>" init="cat" templates=["a _ on a beach"] pictures="train" iterations=3 lr=0.05'
)
LORA = f"tune lora {PAST} iterations=4 rank=2"
WALK = 'invert sdedit "cat"->"sks cat" steps=4 strength=50% | guide cfg guidance=1'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("subject")
    (place / "train").mkdir()
    for name in ("train/2", "train/10", "three", "four"):
        draw(place / f"{name}.png")
    (place / "train" / "notes.txt").write_text("not a picture")
    return place


@pytest.fixture(scope="module")
def learnt(folder: Path) -> None:
    """A file of it, in the folder."""
    ran(f'{LORA} | save lora "sks.safetensors"', folder)


@pytest.mark.usefixtures("learnt")
@pytest.mark.thorough
def test_what_is_saved_is_what_was_learnt_bit_for_bit_and_the_base_stays(folder: Path) -> None:
    recipe = (
        f'{OPEN} | {LORA} | {WALK} | save "fresh.png"\n'
        f'{OPEN} | tune lora "sks.safetensors" | {WALK} | save "read.png"\n'
        f'{OPEN} | {WALK} | save "plain.png"'
    )
    ran(recipe, folder)
    assert_read_is_fresh(folder, "plain")
    ran(f'{OPEN} | {WALK} | save "alone.png"', folder)
    assert (pixels(folder / "alone.png") == pixels(folder / "plain.png")).all()
    told = json.loads(retouch("show", "sks.safetensors", "--json", folder=folder).out)
    assert "10.png" in json.dumps(told["inputs"])
    assert "notes.txt" not in json.dumps(told["inputs"])
    assert "lora_A" in next(iter(load_file(folder / "sks.safetensors")))


def test_rows_are_as_planned_and_a_run_learns_once(folder: Path) -> None:
    """For two pictures and a sweep of what follows; what the model makes of the kind costs rows, too."""
    of_kind = 'class_prompt="a cat" class_pictures=3 class_guidance=[1, 2] steps=4'
    walk = 'invert sdedit "cat"->"sks cat" strength=50% | guide cfg guidance=1'
    recipe = f'{LORA} {of_kind} | {walk} | save "{{name}}-{{class_guidance}}.png"'
    words = ("three.png", "four.png", "-o", "swept", "--caption", "a cat on a beach")
    done = ran(recipe, folder, *words)
    rows = 2 * (4 * 2) + 3 * 4 * (1 + 2) + 2 * 2 * 2
    assert done["rows"] == rows
    assert f"in all: {rows} rows" in retouch("plan", "-e", recipe, *words, folder=folder).out


@pytest.mark.thorough
def test_what_was_learnt_and_what_was_read_add_up_each_at_its_scale(folder: Path) -> None:
    ran(f'{LORA} | save lora "a.safetensors"', folder)
    ran(f'{LORA.replace("sks", "zwx").replace("lr=0.002", "lr=0.05")} | save lora "b.safetensors"', folder)
    read = 'tune lora "b.safetensors" scale=0.5'
    recipe = (
        f'{OPEN} | {LORA} scale=0.8 | {read} | {WALK} | save "learnt.png"\n'
        f'{OPEN} | {read} | tune lora "a.safetensors" scale=0.8 | {WALK} | save "files.png"\n'
        f'{OPEN} | tune lora "a.safetensors" scale=0.8 | {WALK} | save "one.png"'
    )
    ran(recipe, folder)
    learnt, files, one = (pixels(folder / f"{name}.png") for name in ("learnt", "files", "one"))
    np.testing.assert_allclose(learnt, files, rtol=0, atol=1)
    assert abs(learnt - one).max() > 1


@pytest.mark.bench
@pytest.mark.parametrize(
    "recipe",
    [
        f'tune lora {PAST} iterations=10 batch=2 class_prompt="a cat" class_pictures=2 class_guidance=1 steps=2'
        ' | save lora "{}.safetensors"',
        'open "three.png" | tune imagic "cat"->"dog" embedding_steps=2 training_steps=8 batch=4 weights="cross"'
        ' | save weights "{}.safetensors"',
    ],
    ids=["lora", "imagic"],
)
def test_a_killed_run_goes_on_with_the_same_bits(
    recipe: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In processes of their own, ended by SIGKILL; tests/models/test_tune_resuming.py has all tunings, more quickly."""
    (folder / "again.safetensors").unlink(missing_ok=True)
    whole = ran(recipe.format("whole"), folder)
    env = {**os.environ, "RETOUCH_CACHE": str(tmp_path), "RETOUCH_CHECKPOINTS": "0", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "retouch", "run", "-e", recipe.format("again"), "--json", "--force"]
    with subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as going:
        kept = wait_for(tmp_path / "tunings", 3)
        going.send_signal(signal.SIGKILL)
        assert going.wait() == -signal.SIGKILL
    assert 3 <= kept < 10
    assert not (folder / "again.safetensors").exists()
    monkeypatch.setenv("RETOUCH_CACHE", str(tmp_path))
    resumed = ran(recipe.format("again"), folder)
    assert resumed["rows"] <= whole["rows"] - 3 * 4
    one, other = (load_file(folder / f"{name}.safetensors") for name in ("whole", "again"))
    assert one.keys() == other.keys()
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())
    assert not [*(tmp_path / "tunings").iterdir()]


def wait_for(place: Path, steps: int) -> int:
    """Until so many steps are kept; how many those are."""
    for _ in range(600):
        for each in place.glob("*.safetensors") if place.is_dir() else ():
            try:
                with safe_open(each, "pt") as file:
                    if (done := int(file.get_tensor("done"))) >= steps:
                        return done
            except (OSError, SafetensorError):
                continue
        time.sleep(0.05)
    raise AssertionError("nothing was kept")


@pytest.mark.usefixtures("learnt")
@pytest.mark.parametrize(
    ("recipe", "code", "words"),
    [
        ("tune lora | invert ddim", "RT226", "no file to read, and no prompt"),
        ('model "storybook_pixels" | tune lora prompt="a sks cat" layers="attention" | invert ddim', "RT226", "none"),
        ('model "storybook_pixels" | tune lora | invert ddim', "RT226", 'layers="attention"'),
        ('tune lora prompt="a cat" class_prompt="a cat" | invert ddim', "RT226", "rare word"),
        ('tune dreambooth class_prompt="a cat" | invert ddim', "RT226", "no prompt"),
        ('tune dreambooth prompt="a sks cat" weights="cross" | save lora "x.safetensors"', "RT464", "save weights"),
        ('tune lora "sks.safetensors" | save lora "x.safetensors"', "RT456", "stands beside the model"),
        ('tune lora prompt="a sks cat" pictures="none" | save lora "x.safetensors"', "RT402", "none"),
        ('tune lora prompt="a sks cat" pictures="empty" | save lora "x.safetensors"', "RT401", "no pictures"),
        ('tune lora prompt="a sks cat" pictures="https://a.org/x" | save lora "x.safetensors"', "RT413", ""),
        (
            'tune lora prompt="a sks cat" pictures="two  of/a  cat" | save lora "x.safetensors"',
            "RT402",
            "two  of/a  cat",
        ),
        ('tune textual_inversion word="<t>" init="cat" templates=[] | invert ddim', "RT226", "no sentence"),
        ('tune unitune rank=2 | invert ddim "cat"->"dog"', "RT227", 'weights="low_rank"'),
        ('tune unitune token="\\u0007" | invert ddim "cat"->"dog"', "RT228", "a word that no language has"),
        ('tune unitune token="x\\u200b" | invert ddim "cat"->"dog"', "RT228", "a word that no language has"),
        ('tune lora "sks.safetensors" rank=8 | invert ddim "cat"->"dog"', "RT227", "read from a file"),
        ('tune lora prompt="a sks cat" prior=2 | invert ddim "cat"->"dog"', "RT227", "class_prompt"),
    ],
)
def test_what_cannot_be_meant_has_a_code(folder: Path, recipe: str, code: str, words: str) -> None:
    (folder / "empty").mkdir(exist_ok=True)
    done = retouch("check", "-e", recipe, "three.png", "--caption", "a cat", folder=folder)
    assert code in done.out + done.err
    assert words in done.out + done.err


def test_of_several_pictures_the_broken_one_is_named(folder: Path) -> None:
    (folder / "some").mkdir()
    whole = draw(folder / "some" / "1.png").read_bytes()
    (folder / "some" / "2.png").write_bytes(whole[: len(whole) // 2])
    recipe = 'tune lora prompt="a sks cat" pictures="some" iterations=1 | save lora "x.safetensors"'
    done = retouch("run", "-e", recipe, "--json", "--force", folder=folder)
    assert done.code == 4
    assert "RT504" in done.out + done.err
    assert "'2.png' is not an image that can be read" in done.out + done.err


def test_a_rate_that_is_too_high_is_told(folder: Path) -> None:
    recipe = 'tune dreambooth prompt="a sks cat" pictures="train" iterations=20 lr=1 | save weights "wild.safetensors"'
    done = retouch("run", "-e", recipe, "--json", folder=folder)
    assert done.code == 4, done.out + done.err
    assert "RT469" in done.out + done.err
    assert not (folder / "wild.safetensors").exists()


@pytest.mark.thorough
def test_a_word_that_was_learnt_is_said_in_this_turn_and_the_next(folder: Path) -> None:
    ran(f'{WORD} | save embedding "toy.safetensors"', folder)
    assert [*load_file(folder / "toy.safetensors")] == ["<toy>"]
    walk = 'invert sdedit "cat"->"<toy>" steps=4 strength=60% | guide cfg guidance=2'
    again = 'invert sdedit "white"->"red" steps=4 strength=60% | guide cfg guidance=2'
    recipe = (
        f'{OPEN} | {WORD} | {walk} | sample walk | {again} | save "fresh.png"\n'
        f'{OPEN} | tune textual_inversion "toy.safetensors" | {walk} | sample walk | {again} | save "read.png"\n'
        f'{OPEN} | {walk} | sample walk | {again} | save "untaught.png"\n'
        f'{OPEN} | tune textual_inversion "toy.safetensors" word="cat" | {walk} | save "named.png"'
    )
    ran(recipe, folder)
    assert_read_is_fresh(folder, "untaught")


@pytest.mark.thorough
def test_a_word_holds_for_the_edit_of_one_stage_too(folder: Path) -> None:
    """`edit=…` of a mask is read by the same text encoder, and for that stage alone."""
    mask = 'mask diffedit edit="cat"->"<toy>" steps=4'
    recipe = (
        f'{OPEN} | tune textual_inversion "toy.safetensors" | {mask} | save mask "taught.png"\n'
        f'{OPEN} | {mask} | save mask "untaught.png"'
    )
    ran(f'{WORD} | save embedding "toy.safetensors"', folder)
    plan = json.loads(retouch("plan", "-e", recipe, "--json", folder=folder).out)
    assert "view prompts" in json.dumps(plan)
    ran(recipe, folder)
    assert (folder / "taught.png").read_bytes() != (folder / "untaught.png").read_bytes()


@pytest.mark.parametrize(
    ("recipe", "code", "words"),
    [
        ("tune textual_inversion | invert ddim", "RT226", "no file to read"),
        ('tune textual_inversion word="<toy>" | invert ddim', "RT226", 'init="toy"'),
        ('model "storybook_pixels" | tune textual_inversion word="<toy>" init="cat"', "RT326", ""),
        ('tune textual_inversion "sks.safetensors" | invert ddim "cat"->"dog"', "RT465", "a word of this model is"),
        ('tune textual_inversion "wide.safetensors" | invert ddim "cat"->"dog"', "RT465", "numbers a token"),
        ('tune textual_inversion "nameless.safetensors" | invert ddim "cat"->"dog"', "RT465", 'word="<toy>"'),
        ('save embedding "x.safetensors"', "RT467", "textual_inversion"),
    ],
)
def test_a_word_that_cannot_be_learnt_or_read_has_a_code(folder: Path, recipe: str, code: str, words: str) -> None:
    save_file({"<toy>": torch.ones(1, 7)}, folder / "wide.safetensors")
    width = load_file(next((ROOT / "plugins/retouch_storybook/weights/text_encoder").glob("*.safetensors")))
    side = next(each for name, each in width.items() if "token_embedding" in name).shape[1]
    save_file({"emb_params": torch.ones(2, side)}, folder / "nameless.safetensors")
    save_file({f"unet.{i}": torch.ones(1, side) for i in range(2)}, folder / "sks.safetensors")
    done = retouch("check", "-e", recipe, "three.png", "--caption", "a cat", folder=folder)
    assert code in done.out + done.err
    assert words in done.out + done.err
