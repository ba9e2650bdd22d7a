"""The large-picture benchmark: one scene of a sheet, its truth, and what is told of a result."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from retouch.api.checking import Environment, check, load_registry
from retouch.graph.nodes import Picture
from retouch_bench.drawn import Drawn
from retouch_bench.edits import held_out_edits
from retouch_bench.large import RECIPES, SCENES, LargeDrawing, Spent, figures, filled, main, seam


@pytest.fixture(scope="module")
def sheet(tmp_path_factory: pytest.TempPathFactory) -> LargeDrawing:
    edit = next(edit for edit in held_out_edits(7) if edit.kind == "change object")
    return LargeDrawing(edit, (1, 2), 256, tmp_path_factory.mktemp("sheet"))


def test_a_sheet_and_its_truth_differ_in_the_masked_box_of_one_scene_alone(sheet: LargeDrawing) -> None:
    source, truth = (Image.open(path).convert("RGB") for path in (sheet.source, sheet.truth))
    assert source.size == truth.size == (256, 256)
    left, top, right, bottom = sheet.box()
    assert 0 < (right - left) * (bottom - top) / 256**2 < 1 / SCENES**2
    truth.paste(source.crop(sheet.box()), (left, top))
    assert truth.tobytes() == source.tobytes()


def test_a_scene_beside_it_whose_name_is_the_edits_own_is_not_taken_for_it(tmp_path: Path) -> None:
    """The first edit of two seeds is named alike: of the sheet's scene the source is that of its own edit."""
    edit = held_out_edits(1)[0]
    drawing = LargeDrawing(edit, (1, 2), 256, tmp_path / "sheet")
    own = Image.open(Drawn(edit, tmp_path / "alone", drawing.cell).source).convert("RGB")
    left, top = 2 * drawing.cell, drawing.cell
    shown = Image.open(drawing.source).convert("RGB").crop((left, top, left + drawing.cell, top + drawing.cell))
    assert shown.tobytes() == own.tobytes()


def test_a_sheet_of_another_size_is_another(sheet: LargeDrawing) -> None:
    """In the same folder, as where a benchmark is begun again with other settings."""
    larger = replace(sheet, side=2 * sheet.side)
    assert Image.open(sheet.source).size == (256, 256)
    assert Image.open(larger.source).size == (512, 512)


def test_drawings_of_another_seed_are_others_though_their_edits_are_named_alike(tmp_path: Path) -> None:
    one, other = (Drawn(held_out_edits(1, seed)[0], tmp_path, 64) for seed in (0, 1))
    assert one.edit.name == other.edit.name
    assert one.source.read_bytes() != other.source.read_bytes()


def test_the_truth_is_right_and_the_source_is_not(sheet: LargeDrawing) -> None:
    true, nothing = (figures(sheet, path, Spent(1, 1, 1)) for path in (sheet.truth, sheet.source))
    assert (true["psnr_inside"], true["changed_outside"], true["seam"]) == (60, 0, 0)
    assert true["right"] >= nothing["right"] == 0
    assert nothing["psnr_inside"] < 25


def test_a_border_of_tiles_is_a_seam_and_a_changed_thing_is_none() -> None:
    truth = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0)) * 20
    tinted = truth.clone()
    tinted[:, :, 32:] += 12
    assert seam(tinted, truth) > 2
    assert seam(truth, truth) == 0
    blurred = torch.nn.functional.avg_pool2d(truth, 3, 1, 1)
    assert seam(blurred, truth) < 1


@pytest.mark.parametrize("name", RECIPES)
def test_the_recipes_fit_together_and_the_place_in_the_scene_is_the_masks(sheet: LargeDrawing, name: str) -> None:
    text = filled(RECIPES[name], sheet, 4, "storybook128")
    checked = check(text, Environment(load_registry(), Path(), (Picture(sheet.source),)))
    assert [each.code for each in checked.diagnostics] == []
    boxes = [node.options for node in checked.graphs[0].nodes if node.card.name == "mask box"]
    shown = [[box[side] for side in ("left", "top", "right", "bottom")] for box in boxes]
    assert sheet.box() in [_pixels(box, (0, 0, 1, 1), sheet.side) for box in shown], "a mask of the whole sheet"
    if len(shown) > 1:
        scene = next(box for box in shown if box[2] - box[0] == pytest.approx(1 / SCENES))
        assert sheet.box() in [_pixels(box, scene, sheet.side) for box in shown], "and of the scene"


def _pixels(box: list[float], within: Sequence[float], side: int) -> tuple[int, ...]:
    """The sides of a box in a part of a sheet, in pixels of the sheet."""
    left, top, right, bottom = within
    wide, high = right - left, bottom - top
    x, y, x_end, y_end = box
    edges = (left + x * wide, top + y * high, left + x_end * wide, top + y_end * high)
    return tuple(round(edge * side) for edge in edges)


@pytest.mark.bench
@pytest.mark.skipif(not hasattr(os, "wait4"), reason=f"{sys.platform} tells no memory of a child")
def test_a_recipe_is_run_in_a_process_of_its_own_and_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = "mask box {mask} | crop | invert edit_friendly {change} steps={steps} | blend latent | blend pixel | paste"
    line = ["-e", recipe, "--side", "256", "--steps", "4", "--model", "storybook", "--json", "-o", str(tmp_path)]
    assert main(line) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["changed_outside"] == 0
    assert row["seconds"] > 0.5
    assert 0.1 < row["peak_gb"] < 4
