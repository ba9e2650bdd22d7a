"""A window without a step is told before anything runs, and what acts at no step costs nothing."""

from __future__ import annotations

import pytest

from retouch.check.check import check
from retouch.check.reading.environment import Environment
from retouch.graph.nodes import Picture
from retouch.graph.plan import plan
from retouch.paths import folder
from retouch.plugins import registry

INSTALLED = registry.load()
CAT = Picture(folder("recipes") / "pictures" / "cat_meadow.png", 0, "an orange cat in a meadow")


def told(flow: str):
    """What is said about windows, and the rows of sampling."""
    found = check(f'{flow} | save "out.png"', Environment(INSTALLED, folder("recipes"), (CAT,)))
    assert not found.errors, [error.message for error in found.errors]
    rows = plan(found.graphs[0])
    (sampling,) = (rows.rows[node.id][1] for node in found.graphs[0].nodes if node.card.family == "sample")
    return [item for item in found.diagnostics if item.code == "RT315"], sampling


START = 'invert ddim "cat"->"dog" steps=10 strength=50% | '  # five steps of two rows


@pytest.mark.parametrize(
    ("stages", "message", "rows"),
    [
        ("attend masactrl start=90%", "'attend masactrl' acts at none of the 5 steps that are taken", 10),
        ("attend masactrl start=100%", "'attend masactrl' acts at none of the 5 steps that are taken", 10),
        ("attend p2p cross_replace=0 self_replace=0", "'attend p2p' acts at none of the 5 steps that are taken", 10),
        ("blend local start=90%", "'blend local' acts at none of the 5 steps that are taken", 10),
        ("guide semantic start=50% until=55%", "'guide semantic' acts at none of the 5 steps that are taken", 15),
    ],
)
def test_what_acts_at_no_step_is_told_and_costs_nothing(stages, message, rows):
    (found,), sampling = told(START + stages)
    assert (found.severity, found.message) == ("warning", message)
    assert sampling == rows


@pytest.mark.parametrize(
    ("stages", "rows"),
    [
        ("attend masactrl start=80%", 20),
        ("attend p2p cross_replace=1% self_replace=0", 20),
        ("blend local start=80%", 20),
        ("guide semantic start=40% until=41%", 15),
    ],
)
def test_one_step_is_enough(stages, rows):
    assert told(START + stages) == ([], rows)


def test_the_number_of_steps_is_that_of_the_walk_that_is_taken():
    late = "attend masactrl start=90%"
    assert not told(f'invert ddim "cat"->"dog" steps=10 | {late}')[0]
    assert told(f'invert sdedit "cat"->"dog" steps=10 strength=60% | {late}')[0][0].label.startswith(
        "the last step begins at 83%"
    )
    (one,), _ = told(f'invert sdedit "cat"->"dog" steps=2 strength=50% | {late}')
    assert "none of the 1 step that" in one.message


def test_one_of_two_windows_that_was_meant_to_be_open_is_told_too():
    """The maps that keep inside and outside apart end with `masked`: closed on purpose, that is no mistake."""
    assert not told(START + "attend masactrl start=0")[0]
    assert not told(START + "mask box right=70% | attend masactrl masked=true start=0 | blend latent")[0]


def test_each_of_several_controls_is_counted_by_itself():
    both = "attend p2p cross_replace=0 self_replace=0 | attend masactrl"
    (found,), sampling = told(START + both)
    assert found.message.startswith("'attend p2p'")
    assert sampling == 20


@pytest.mark.parametrize(
    ("invert", "rows"),
    [
        ("ddim", 20), ('ddim pinned="always"', 20), ('ddim pinned="never"', 40), ("null_text", 20),
        ("negative_prompt", 20), ("direct", 20), ("fixed_point", 20), ('fixed_point pinned="never"', 40),
        ("sdedit strength=100%", 20),
    ],
)  # fmt: skip
def test_where_only_a_blend_reads_the_source_it_is_replayed(invert, rows):
    name, _, options = invert.partition(" ")
    begun = f'invert {name} "cat"->"dog" steps=10 {options} | guide cfg guidance=3'
    assert told(f"{begun} | mask box | blend latent")[1] == rows
    assert told(f"{begun} | mask box | attend p2p | blend latent")[1] == 40
    assert told(f"{begun} | blend local")[1] == 40


@pytest.mark.parametrize("method", ["ddim", "sdedit", "fixed_point", "edict", "edit_friendly", "negative_prompt"])
def test_a_walk_of_no_step_is_an_error_that_names_the_least_that_makes_one(method):
    def errors(options: str):
        flow = f'invert {method} "cat"->"dog" {options} | save "out.png"'
        return check(flow, Environment(INSTALLED, folder("recipes"), (CAT,))).errors

    (found,) = errors("steps=8 strength=5%")
    assert (found.code, found.help) == ("RT312", "give at least strength=13% or steps=20")
    assert not errors("steps=8 strength=13%")
    assert not errors("steps=20 strength=5%")
