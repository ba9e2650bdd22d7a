"""Benchmarks of few edits: what they ask for is what ships, and what was measured is not measured again."""

from __future__ import annotations

import re
from argparse import Namespace

import pytest
import torch

from retouch.paths import folder
from retouch_bench import alone, attributes, painted
from retouch_bench.drawn import Drawn, read
from retouch_bench.edits import held_out_edits
from retouch_storybook.world import FIRST_UNSEEN_SEED, held_out_scenes

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
    monkeypatch.setattr(alone, "_made", lambda case, *_: made.append(case.method) or {"success": 1.0, "rows": 3})
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


@pytest.mark.parametrize("name", attributes.METHODS)
def test_drawings_that_attributes_are_read_in_were_never_learnt_from(name):
    method = attributes.METHODS[name]
    found = attributes.edits(name, method, 6, 0)
    triples = {(each.subject, each.color, each.setting) for each in held_out_scenes()}
    for edit in found:
        assert (edit.before.subject, edit.before.color, edit.before.setting) in triples
        assert edit.before.seed >= FIRST_UNSEEN_SEED
        assert set(edit.asked) == set(method.after)
    assert len({edit.before for edit in found}) == 6


def test_an_attribute_is_named_by_the_file_that_was_learnt(tmp_path):
    text = attributes.flow(attributes.METHODS["both, in turns"].text, args(tmp_path))
    learnt = [tmp_path / f"{name}.safetensors" for name in ("yellow", "mosaic")]
    assert [text.count(f'tune weights "{file.as_posix()}"') for file in learnt] == [1, 1]
    assert "{" not in text
