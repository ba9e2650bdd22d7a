"""Benchmarks of few edits: what they ask for is what ships, and what was measured is not measured again."""

from __future__ import annotations

import re
from argparse import Namespace
from dataclasses import replace

import pytest
import torch

from retouch.paths import folder
from retouch_bench import alone, attributes, painted, spent
from retouch_bench.drawn import Drawn, Strokes, read
from retouch_bench.edits import held_out_edits
from retouch_bench.measure import Eyes
from retouch_storybook.world import FIRST_UNSEEN_SEED

EDIT = next(edit for edit in held_out_edits(7, painted.SEED) if edit.kind == painted.KIND)


def args(place, **more):
    return Namespace(out=place, model="storybook", steps=2, seed=0, seconds=float("inf"), draws=2, **more)


FILES = dict(zip(painted.METHODS, ("blended_diffusion", "blended_latents"), strict=True))


@pytest.mark.parametrize(("name", "file"), list(FILES.items()))
def test_what_is_measured_is_the_recipe_that_ships(name, file):
    lines = (folder("recipes") / f"{file}.retouch").read_text().splitlines()
    shipped = " ".join(" ".join(line for line in lines if not line.startswith(("#", "model"))).split())
    asked = painted.METHODS[name].replace("{draws}", "8").replace(" keep={keep}", "").partition("| draw ")[2]
    told = re.sub(r'"[^"]*"->"[^"]*"', "{change}", shipped.partition("| draw ")[2]).replace(" steps=25", "")
    assert told.replace("( ", "(").replace(" )", ")") == asked


def test_a_painted_place_is_what_changes_and_a_margin(tmp_path):
    drawn = Drawn(EDIT, tmp_path, 64)
    place, touched = read(painted.painted(drawn))[0] > 0, drawn.region > 0
    assert place[touched].all()
    grown = torch.nn.functional.max_pool2d(touched.float()[None, None], 2 * painted.AROUND + 1, 1, painted.AROUND)
    assert (place == (grown[0, 0] > 0)).all()
    assert touched.sum() < place.sum() < place.numel() / 2


def test_pixels_that_differ_outside_a_place_are_counted_in_every_draw():
    source, place = torch.zeros(3, 4, 4), torch.zeros(3, 4, 4)
    place[:, :2] = 1
    inside, outside = source.clone(), source.clone()
    inside[0, 0, 0], outside[1, 3, 2:] = 1, 1
    assert alone.changed(source, [inside, source], place) == 0
    assert alone.changed(source, [inside, outside, outside], place) == 4


def test_what_was_measured_is_not_measured_again(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(
        alone, "_made", lambda cases, *_: [made.append(each.method) or {"success": 1.0, "rows": 3} for each in cases]
    )
    drawn = Drawn(EDIT, tmp_path, 64)
    cases = [alone.Case("one", drawn, "a recipe"), alone.Case("two", drawn, "another")]
    first, again = (list(alone.measured(cases, args(tmp_path))) for _ in range(2))
    assert made == ["one", "two"]
    assert [{**each, "key": list(each["key"])} for each in first] == again
    list(alone.measured([alone.Case("one", drawn, "a recipe of today")], args(tmp_path)))
    assert made == ["one", "two", "one"]
    none = list(
        alone.measured([alone.Case("three", drawn, "too late")], Namespace(**vars(args(tmp_path)) | {"seconds": 0}))
    )
    assert (none, len(made)) == ([], 3)
    table = alone.markdown(first, ["one", "two"], ("success", "rows"))
    assert "| one | 1 | 100 ± 0 | 3 |" in table


def test_edits_in_a_row_by_one_recipe_are_made_together_and_those_that_are_done_are_left_out(tmp_path, monkeypatch):
    runs = []
    monkeypatch.setattr(
        alone,
        "_made",
        lambda cases, *_: runs.append([each.drawn.edit.index for each in cases]) or [{"rows": 3} for _ in cases],
    )
    drawn = [Drawn(replace(EDIT, index=i), tmp_path, 64) for i in range(5)]
    cases = [alone.Case("one", each, "a recipe") for each in drawn]
    other = [alone.Case("two", each, "another") for each in drawn[:2]]
    list(alone.measured(cases[1:2], args(tmp_path)))
    found = list(alone.measured([*cases, *other], args(tmp_path), together=3))
    assert runs == [[1], [0, 2], [3, 4], [0, 1]]
    assert [each["method"] for each in found] == ["one"] * 5 + ["two"] * 2
    assert [each["key"][0] for each in found] == [each.drawn.edit.name for each in [*cases, *other]]


def test_several_pictures_share_the_seconds_of_their_run_and_each_has_its_own_figures(tmp_path):
    edits = [replace(edit, kind="one") for edit in held_out_edits(2, 1)]
    cases = [alone.Case("codec", Drawn(each, tmp_path, 64), 'model "storybook"\nencode | decode') for each in edits]
    eyes = Eyes(image_text=None)
    both = alone._made(cases, tmp_path, eyes)
    apart = [alone._made([each], tmp_path, eyes)[0] for each in cases]
    assert both[0]["psnr_outside"] != both[1]["psnr_outside"]
    for one, other in zip(both, apart, strict=True):
        assert one["psnr_outside"] == pytest.approx(other["psnr_outside"], abs=0.01)
    assert (both[0]["seconds"], both[0]["rows"]) == (both[1]["seconds"], 0)


@pytest.mark.parametrize("name", attributes.METHODS)
def test_drawings_that_attributes_are_read_in_were_never_learnt_from(name):
    method = attributes.METHODS[name]
    found = attributes.edits(name, method, 20, 0)
    for edit in found:
        assert edit.before.seed >= FIRST_UNSEEN_SEED
        assert set(edit.asked) == set(method.after)
    assert len({edit.before for edit in found}) == 20
    assert len({(edit.before.subject, edit.before.setting) for edit in found}) > 10  # not one thing over and over
    for other in method.alone:
        same = attributes.edits(other, attributes.METHODS[other], 20, 0)
        assert [each.before for each in same] == [each.before for each in found]


def test_strokes_are_few_and_flat_and_the_answer_is_the_drawings(tmp_path):
    drawn, plain = (kind(EDIT, tmp_path, 64) for kind in (Strokes, Drawn))
    cells = read(drawn.source).unflatten(2, (16, 4)).unflatten(1, (16, 4))  # [3, 16, 4, 16, 4]
    assert (cells == cells[:, :, :1, :, :1]).all()
    assert len(read(drawn.source).flatten(1).unique(dim=1)[0]) <= Strokes.COLOURS
    assert not torch.equal(read(drawn.source), read(plain.source))
    assert torch.equal(read(drawn.truth), read(plain.truth))


def test_of_two_at_once_is_asked_what_became_of_drawings_in_which_each_alone_is_read():
    (name, both), *_ = ((name, each) for name, each in attributes.METHODS.items() if each.alone)
    read = {both.alone[0]: (1, 1, 0), both.alone[1]: (1, 1, 1), name: (1, 0, 0)}
    records = [
        {"method": method, "key": (f"{i:03d}-{method}", "", ""), "asked": float(each)}
        for method, found in read.items()
        for i, each in enumerate(found)
    ]
    made = [each["where_alone"] for each in attributes.where_alone(records)]
    assert made == [None] * 6 + [1.0, 0.0, None]


def test_what_learning_took_is_told_and_kept_beside_the_weights(tmp_path, monkeypatch):
    ran = []

    def run(recipe, *more, folder):
        ran.append(recipe)
        (folder / "yellow.safetensors").touch()
        return spent.Spent(3.0, 2.0, 0.5)

    monkeypatch.setattr(spent, "run", run)
    told = [attributes.learnt("yellow", args(tmp_path)) for _ in range(2)]
    assert told[0] == told[1]
    assert len(ran) == 1
    assert len(list((tmp_path / "learnt" / "yellow").glob("*.png"))) == attributes.LEARNT_FROM
    assert "| yellow | 30 | 2 | 0.50 |" in attributes.markdown_of({"yellow": told[0]})


@pytest.mark.parametrize("name", attributes.ATTRIBUTES)
def test_an_attribute_is_learnt_as_the_recipe_that_ships_has_it(name):
    shipped, attribute = (folder("recipes") / "tuned" / f"{name}.retouch").read_text(), attributes.ATTRIBUTES[name]
    before, after = shipped.split(' pictures="')
    assert before.endswith(f"tune diffusionclip {attribute.words}")
    assert after.partition('" ')[2].startswith(f"{attribute.settings}\n")


def test_what_is_measured_of_both_is_the_recipe_that_ships():
    shipped = (folder("recipes") / "tuned" / "yellow_mosaic.retouch").read_text().partition("\ninvert")[2]
    flow = attributes.METHODS["both, weights added"].recipe
    for name in attributes.ATTRIBUTES:
        flow = flow.replace(f"{{{name}}}", f'tune weights "{name}.safetensors"')
    assert " ".join(f"invert{shipped}".replace(" steps=40", "").split()) == flow


def test_an_attribute_is_named_by_the_file_that_was_learnt(tmp_path):
    text = attributes.flow(attributes.METHODS["both, in turns"].recipe, args(tmp_path))
    learnt = [tmp_path / f"{name}.safetensors" for name in ("yellow", "mosaic")]
    assert [text.count(f'tune weights "{file.as_posix()}"') for file in learnt] == [1, 1]
    assert "{" not in text
