"""Inversion and edits through recipes, with the weights that ship."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import retouch
from retouch_storybook.world import Scene, render

CAT, CAR = Scene("cat", "orange", "in a meadow", seed=4), Scene("car", "red", "in a desert", seed=9)
FEW = "iterations=12 tuning=0"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("gan")
    for name, scene in (("cat", CAT), ("car", CAR)):
        render(scene).save(place / f"{name}.png")
        (place / f"{name}.txt").write_text(scene.caption())
    return place


def made(folder: Path, text: str, name: str = "cat") -> np.ndarray:
    image = retouch.recipe(text)(folder / f"{name}.png", caption=(folder / f"{name}.txt").read_text()).image
    return np.asarray(image.convert("RGB"), dtype=np.float64)


def decibels(a: np.ndarray, b: np.ndarray) -> float:
    return -10 * math.log10(float(((a - b) ** 2).mean()) / 255**2)


@pytest.mark.thorough
def test_the_more_is_tuned_the_nearer_the_picture_comes_back(folder):
    cat = np.asarray(Image.open(folder / "cat.png").convert("RGB"), dtype=np.float64)
    encoded = made(folder, 'gan invert method="encoder" | gan paint')
    optimised = made(folder, f"gan invert {FEW} | gan paint")
    tuned = made(folder, "gan invert iterations=12 tuning=12 | gan paint")
    assert 12 < decibels(cat, encoded) < decibels(cat, optimised) < decibels(cat, tuned)


@pytest.mark.thorough
def test_one_style_for_all_layers_comes_less_near(folder):
    cat = np.asarray(Image.open(folder / "cat.png").convert("RGB"), dtype=np.float64)
    one, each = (
        made(folder, f'gan invert method="optimise" iterations=25 space="{space}" | gan paint') for space in ("w", "w+")
    )
    assert decibels(cat, one) < decibels(cat, each)


@pytest.mark.thorough
@pytest.mark.parametrize("method", ["styleclip", "nada"])
def test_an_edit_moves_the_picture_towards_the_words(folder, method):
    import torch

    from retouch_storybook.image_text import load_image_text

    code = f"gan invert {FEW}"
    before = made(folder, f"{code} | gan paint")
    after = made(folder, f'{code} | gan edit "cat"->"dog" method="{method}" iterations=15')
    pictures = torch.from_numpy(np.stack([before, after]) / 255).permute(0, 3, 1, 2).float()
    told = load_image_text().similarity(pictures, ["an orange dog in a meadow"] * 2)
    assert told[1] > told[0] + 0.02
    assert decibels(before, after) > 10  # and it is the same picture still


def test_no_steps_change_nothing(folder):
    code = f"gan invert {FEW}"
    assert (made(folder, f'{code} | gan edit "cat"->"dog" iterations=0') == made(folder, f"{code} | gan paint")).all()


@pytest.mark.thorough
def test_pictures_have_the_same_bits_alone_and_together(folder):
    recipe = 'gan invert iterations=4 tuning=2 | gan edit "in a"->"on a" iterations=2 | save "{name}-out.png"'
    (folder / "exact.retouch").write_text(recipe)
    from retouch.cli.main import main

    run = ["run", "--exact", "--force", str(folder / "exact.retouch")]
    assert main([*run, str(folder / "cat.png"), str(folder / "car.png")]) == 0
    together = (folder / "cat-out.png").read_bytes(), (folder / "car-out.png").read_bytes()
    assert main([*run, str(folder / "car.png")]) == 0
    assert (folder / "car-out.png").read_bytes() == together[1]
    assert together[0] != together[1]


def test_a_window_of_another_size_is_refused_when_it_is_cut(folder, capsys):
    from retouch.cli.main import main

    Image.open(folder / "cat.png").resize((128, 128)).save(folder / "large.png")
    box = "mask box left=20% right=80% top=20% bottom=80%"
    text = box + ' | crop size={} | gan invert method="encoder" | gan paint | paste'
    run = ["run", "--force", str(folder / "large.png"), "-o", str(folder / "window.png"), "-e"]
    assert main([*run, text.format(48)]) != 0
    assert "RT560" in capsys.readouterr().err
    assert main([*run, text.format(64)]) == 0


def test_the_plan_tells_what_it_costs(folder, capsys):
    from retouch.cli.main import main

    recipe = 'gan invert iterations=30 tuning=20 | gan edit "cat"->"dog" iterations=7 method="nada" others=2'
    assert main(["plan", "-e", recipe, str(folder / "cat.png")]) == 0
    told = capsys.readouterr().out
    assert "[50 passes of its own networks]" in told
    assert "[21 passes of its own networks]" in told
    assert "gan generator" in told
