"""The recipes of flow models are right on one, and on the embedded model refused with what to use instead."""

from __future__ import annotations

from dataclasses import replace

import pytest

from retouch.check.check import check
from retouch.check.reading.environment import Environment
from retouch.graph.nodes import Picture
from retouch.graph.plan import plan
from retouch.models.catalog import find
from retouch.paths import folder
from retouch.plugins import registry

RECIPES = sorted((folder("recipes") / "flow").glob("*.retouch"))
CODES = {"distilled": "RT321", "fireflow": "RT320", "rf_inversion": "RT320", "rf_solver": "RT320", "shift": "RT320"}
ROWS = {"distilled": 48, "fireflow": 11 + 11 * 2, "rf_inversion": 28 * 3, "rf_solver": 30 + 30 * 2, "shift": 120}


def checked(text, **known):
    info = find("storybook")
    model = replace(info, known=replace(info.known, **known))
    picture = Picture(folder("recipes") / "pictures" / "cat_meadow.png", 0, "an orange cat in a meadow")
    world = Environment(registry.load(), folder("recipes"), (picture,), find_model=lambda name, revision: model)
    return check(text, world)


def test_each_has_its_code():
    assert [path.stem for path in RECIPES] == sorted(CODES)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_on_a_flow_model_that_is_told_its_guidance_it_costs_what_the_paper_says(path):
    found = checked(path.read_text("utf-8"), prediction="flow", told={"guidance": 1.0})
    assert not found.diagnostics
    (graph,) = found.graphs
    assert plan(graph).total == (ROWS[path.stem], ROWS[path.stem])


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_on_the_embedded_model_it_is_refused_with_what_to_use(path):
    errors = checked(path.read_text("utf-8")).errors
    assert {wrong.code for wrong in errors} == {CODES[path.stem]}
    assert all(wrong.help.startswith(("use 'invert ", "use 'guide ", "use 'schedule ")) for wrong in errors)


def test_what_counts_trained_levels_is_refused_on_flow_which_has_none():
    """Steps cannot be divided there; levels up to pure noise can be listed."""
    divided = 'invert ddim "cat"->"dog" parts=4'
    (error,) = checked(divided, prediction="flow", grid=None).errors
    assert (error.code, "has no list of trained levels" in error.message) == ("RT226", True)
    assert not checked(divided).errors
    assert not checked(
        f"schedule levels at=[1000, 400] | {divided.removesuffix(' parts=4')}", prediction="flow", grid=None
    ).errors


def test_without_a_told_guidance_the_source_of_flowedit_costs_two_rows():
    path = next(path for path in RECIPES if path.stem == "distilled")
    text = path.read_text("utf-8").replace("guide distilled", "guide cfg")
    (graph,) = checked(text, prediction="flow").graphs
    assert plan(graph).total == (24 * 4, 24 * 4)


def test_a_walk_straight_to_the_picture_lets_no_edit_through():
    straight = 'invert rf_inversion "cat"->"dog" eta=1 until={}'
    for until, codes in (("1", ["RT564"]), ("0.9", [])):
        found = checked(straight.format(until), prediction="flow", grid=None).diagnostics
        assert [(each.code, "eta=1" in each.message) for each in found] == [(code, True) for code in codes]
