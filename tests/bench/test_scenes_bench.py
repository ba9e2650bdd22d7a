"""The benchmark of edits in space: what it asks for, what it looks at, and its table."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import torch

from retouch.api.checking import Environment, check, load_registry
from retouch.api.commands import WrongCommand
from retouch.api.models import find_model
from retouch.paths import folder
from retouch_bench.scenes.main import main
from retouch_bench.scenes.measuring import SceneMeasurer, decibels
from retouch_bench.scenes.table import FIGURES, table
from retouch_bench.scenes.truth import SolidTruth, SpaceTruth, TrueTurn
from retouch_bench.scenes.ways import RECOMMENDED, WAYS, stages, written
from retouch_scenes.spaces import empty
from retouch_storybook.judge import load_judge
from retouch_storybook.popup import EDITS
from retouch_storybook.solids import SOLID_EDITS


@pytest.mark.thorough
def test_every_way_is_a_recipe_for_every_kind_of_edit(tmp_path):
    world = None
    for name in ("beach-dog", "beach-hat", "beach-color", "figure-hat", "orchard-thing"):
        kind, edits = (SpaceTruth, EDITS) if name in EDITS else (SolidTruth, SOLID_EDITS)
        truth = kind(edits[name], views=3, held=1, size=32)
        folder = truth.written(tmp_path / name.partition("-")[0])
        world = world or Environment(stages(), tmp_path, (), {"steps": "4"}, output=tmp_path, allowed=(tmp_path,))
        for way in WAYS:
            text = written(way, truth.edit.operand, truth.edit.before.caption(), str(folder), truth.bounds)
            found = check(text, world)
            assert not found.errors, (name, way, found.errors)
    large = written("walk", '"cat"->"dog"', "a cat", str(folder), model="storybook128")
    assert check(large, world).graphs[0].model.name == "storybook128"


@pytest.mark.parametrize(("kind", "name"), [("dog", "cat_to_dog"), ("hat", "add_hat"), ("color", "recolour")])
def test_what_is_recommended_is_what_the_recipe_of_that_kind_says(kind, name):
    """So that the table is of the recipes which ship."""
    text = (folder("recipes") / "scenes" / f"{name}.retouch").read_text("utf-8")
    (edit,) = set(re.findall(r'"[^"]*"->"[^"]*"', text))
    recipe, way = (
        re.sub(r"\s", "", each.replace(edit, "")) for each in (text, WAYS[RECOMMENDED[kind]].replace("EDIT", edit))
    )
    before, _, behind = recipe.partition(f"|{way}")
    assert "revise" not in before + behind
    assert behind


@pytest.mark.thorough
def test_a_field_is_held_beside_the_truth_of_its_edit():
    """A grey one, of which nothing is right."""
    truth = SpaceTruth(EDITS["beach-color"], views=3, held=2, size=32)
    measurer = SceneMeasurer(load_registry(), folder=None)  # pyright: ignore[reportArgumentType]
    measurer._sources["beach"] = empty(truth.seen("before", "training"), "frustum", 0, 0, 8, 4)
    record = measurer.measured(truth, "no edit")
    grey = torch.full((2, 3, 32, 32), 0.5)
    true = torch.stack([image.data for image in truth.held_truth.images])
    inside = torch.stack(truth.regions)
    assert record["in"] == pytest.approx(decibels(grey, true, inside), abs=0.05)
    assert record["out"] == pytest.approx(decibels(grey, true, ~inside), abs=0.05)
    assert (record["read"], record["rows"], record["agree"]) == (0.0, 0, None)


def test_a_figure_in_a_box_is_held_beside_its_truth_over_white_and_asked_for_no_setting():
    truth = SolidTruth(SOLID_EDITS["figure-color"], views=6, held=3, size=16)
    before, after = truth.seen("before", "training"), truth.seen("after", "training")
    assert before.cut_out
    places = [{tuple(pose) for pose in each.poses[:, :3, 3].tolist()} for each in (before, truth.held_truth)]
    assert not places[0] & places[1]
    measurer = SceneMeasurer(load_registry(), folder=None)  # pyright: ignore[reportArgumentType]
    nothing = empty(before, "box", 0, 0, 8, 0)
    measurer._sources["figure"] = nothing.with_grid(torch.full_like(nothing.grid, -30.0))
    record = measurer.measured(truth, "no edit")
    true = torch.stack([image.data for image in truth.held_truth.images])
    inside = torch.stack(truth.regions)
    assert record["in"] == pytest.approx(decibels(torch.ones_like(true), true, inside), abs=0.05)
    assert record["out"] == pytest.approx(decibels(torch.ones_like(true), true, ~inside), abs=0.05)
    turn = TrueTurn(before, after)
    with pytest.raises(StopIteration) as ended:
        turn(before.images[2]).send(None)
    assert torch.equal(ended.value.value.image.data, after.images[2].data)
    assert SOLID_EDITS["figure-dog"].before.caption() == "an orange cat"
    assert SOLID_EDITS["figure-hat"].after.caption() == "an orange cat wearing a hat"
    assert SOLID_EDITS["figure-hat"].operand == '"cat"->"cat wearing a hat"'


@pytest.mark.thorough
def test_what_stands_outdoors_is_whole_in_every_view_before_its_setting_and_an_edit_leaves_that():
    """The horizon lies where drawings have it, and the judge reads the drawings' words from sides of no drawing."""
    for name in ("orchard-thing", "dune-color"):
        truth = SolidTruth(SOLID_EDITS[name], views=3, held=2, size=64)
        before, after = truth.seen("before", "held out"), truth.held_truth
        assert not before.cut_out
        for one, other, region in zip(before.images, after.images, truth.regions, strict=True):
            assert 0.02 < float(region.float().mean()) < 0.25
            rows, columns = region.nonzero().unbind(1)
            assert int(rows.min()) > 6
            assert int(columns.min()) > 6
            assert int(columns.max()) < 57
            assert torch.equal(one.data[:, ~region], other.data[:, ~region]) or "thing" in name
        assert not torch.equal(before.images[0].data, before.images[1].data) or "dune" in name
        readings = load_judge()(torch.stack([image.data for image in after.images]))
        for key, value in truth.edit.asked.items():
            assert [getattr(each, key) for each in readings] == [value] * 2, name
        assert [each.setting for each in readings] == [truth.edit.after.setting] * 2
    assert truth.bounds


def test_the_true_turn_knows_each_view_and_where_it_differs():
    truth = SpaceTruth(EDITS["beach-hat"], views=3, held=1, size=32)
    before, after = truth.seen("before", "training"), truth.seen("after", "training")
    turn = TrueTurn(before, after)
    for i, image in enumerate(before.images):
        going = turn(image)
        with pytest.raises(StopIteration) as ended:
            going.send(None)
        made = ended.value.value
        assert torch.equal(made.image.data, after.images[i].data)
        assert 0 < float(made.mask.data.mean()) < 0.4
        assert not (image.data != made.image.data).any(0)[made.mask.data == 0].float().mean() > 0.5


def test_the_table_has_a_row_for_each_kind_and_way_with_means():
    shared = {"kind": "dog", "way": "walk", "out": 30.0, "kept": 1.0, "rows": 1600, "cpu_s": 32.0}
    one = {**shared, "edit": "a-dog", "in": 16.0, "read": 1.0, "agree": 30.0}
    other = {**shared, "edit": "b-dog", "in": 17.0, "read": 0.5, "agree": None}
    lines = table([one, other, {**one, "way": "no edit", "in": None}]).splitlines()
    assert lines[2] == "| dog | walk | 2 | 16.5 | 30.0 | 75% | 100% | 30.0 | 1,600 | 32 |"
    assert lines[3].startswith("| dog | no edit | 1 | – |")


def test_what_was_measured_with_other_settings_is_not_taken_for_these(tmp_path, monkeypatch, capsys):
    asked = []

    def measured(self, truth, way):
        asked.append((truth.edit.name, self.steps, truth.views))
        return {"edit": truth.edit.name, "kind": truth.edit.kind, "way": way, **dict.fromkeys(FIGURES, 1.0)}

    monkeypatch.setattr(SceneMeasurer, "measured", measured)
    line = ["-o", str(tmp_path), "--ways", "walk", "--edits"]
    for more in (["beach-dog"], ["beach-dog"], ["beach-dog", "--steps", "4"], ["snow-dog", "--views", "3"]):
        assert main([*line, *more]) == 0
    assert asked == [("beach-dog", 20, 20), ("beach-dog", 4, 20), ("snow-dog", 20, 3)]
    assert capsys.readouterr().out.count("| dog | walk | 1 |") == 4  # tables are of what was asked for
    journal = tmp_path / "measured.jsonl"
    journal.write_bytes(journal.read_bytes()[:-5])  # a kill
    assert main([*line, "snow-dog", "--views", "3"]) == 0
    assert len(asked) == 4
    assert len(journal.read_text().splitlines()) == 3


def test_what_another_model_made_is_measured_again(tmp_path, monkeypatch):
    asked = []

    def measured(self, truth, way):
        asked.append((self.model, truth.size))
        return {"edit": truth.edit.name, "kind": truth.edit.kind, "way": way, **dict.fromkeys(FIGURES, 1.0)}

    monkeypatch.setattr(SceneMeasurer, "measured", measured)
    line = ["-o", str(tmp_path), "--ways", "walk", "--edits", "beach-dog"]
    main(line)
    main([*line, "--model", "storybook128"])
    info = find_model("storybook")
    monkeypatch.setattr("retouch.api.models.find_model", lambda name: replace(info, digest="0" * 64))
    main(line)
    main(line)
    assert asked == [("storybook", 64), ("storybook128", 128), ("storybook", 64)]


@pytest.mark.parametrize("wrong", [["--edits", "castle-dog"], ["--ways", "magic"]])
def test_what_cannot_be_meant_is_said(wrong, tmp_path):
    with pytest.raises(WrongCommand, match="is called"):
        main(["-o", str(tmp_path), *wrong])
