"""Recipes that nobody wrote: each is checked, laid out, written as JSON and back, planned, and some are run."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import takewhile
from random import Random
from time import process_time

import pytest

from retouch.check.check import check
from retouch.graph.document import as_data
from retouch.graph.keys import node_keys
from retouch.graph.plan import plan
from retouch.graph.show import as_text
from retouch.lang.format import format_recipe
from retouch.lang.jsonform import from_json, to_json
from retouch.lang.parse import parse
from retouch.run.session import execute
from tests.e2e.random_recipes import WORDS, recipe
from tests.e2e.sessions import INSTALLED, KEPT, tiny_world
from tests.lang.test_lang_mends import typed

CHECKED = range(120)
SECONDS = 100  # of a core
RUN = 4  # of those that are right, as many from the first on
MEANT = {"RT502", "RT511"}  # a floor that is missed, prompts that an eye reads alike: told in the run, of the pictures


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return replace(tiny_world(tmp_path_factory.mktemp("random"), steps=3), force=True)


def right(seeds, world):
    """The graphs of those that the check lets pass, each with its recipe."""
    for seed in seeds:
        checked = check(recipe(seed), world)
        if not checked.errors:
            yield recipe(seed), checked.graphs


@pytest.mark.parametrize("seeds", [CHECKED, pytest.param(range(120, 5000), marks=pytest.mark.bench)])
def test_they_are_the_same_laid_out_and_from_json_and_can_be_planned(seeds, world):
    passed = 0
    for text, graphs in right(seeds, world):
        tree, found = parse(text)
        assert not found
        laid = format_recipe(tree, text)
        assert format_recipe(parse(laid)[0], laid) == laid
        back = from_json(json.loads(json.dumps(to_json(tree, text))))
        assert back == laid
        again = check(back, world).graphs
        assert [dict(node_keys(graph)) for graph in again] == [dict(node_keys(graph)) for graph in graphs], text
        for graph in graphs:
            planned = plan(graph)
            assert planned.total[0] <= planned.total[1]
            assert as_text(planned)
            assert json.dumps(as_data(planned))
        passed += 1
    assert passed > len(seeds) / 5  # else they would show little


def slipped(text, chance):
    """A right recipe in which one word is spelt wrong, as somebody might type it."""
    words = [found for found in re.finditer(r"(?<!->)\b[a-z_]{4,}\b", text) if found[0] not in WORDS]
    found = chance.choice(words)
    word, at = found[0], chance.randrange(len(found[0]) - 1)
    ways = (
        word.upper(),
        word.title(),
        word[:at] + word[at] + word[at:],
        word.replace("_", ""),
        word[:at] + word[at + 1 :],
    )
    return text[: found.start()] + chance.choice(ways) + text[found.end() :]


@pytest.mark.parametrize("seeds", [range(40), pytest.param(range(40, 1000), marks=pytest.mark.bench)])
def test_a_word_that_is_spelt_wrong_is_mended_to_what_it_was(seeds, world):
    """Of names of stages, options and choices; some slips come to another name, or to one that is as near."""
    mended, missed = 0, []
    for text, graphs in right(seeds, world):
        wrong = slipped(text, Random(text))
        errors = check(wrong, world).errors
        if not errors:
            continue  # words of an edit, or another name
        try:
            back = check(typed(wrong, errors[0]), world)
            same = [dict(node_keys(graph)) for graph in back.graphs] == [dict(node_keys(graph)) for graph in graphs]
        except AssertionError:  # nothing to type
            same = False
        mended += same
        missed += [] if same else [(wrong, errors[0].message, errors[0].help)]
    assert mended > len(seeds) / 8
    assert len(missed) <= mended / 20, missed


def costs_what_is_planned(chosen):
    made = [(text, graph) for text, graphs in chosen for graph in graphs]
    ran = execute([graph for _, graph in made], registry=INSTALLED, machine=KEPT)
    for (text, graph), outcome in zip(made, ran.outcomes, strict=False):
        assert {each.code for each in outcome.failures} <= MEANT, (text, outcome.failures)
        for node in graph.nodes if not outcome.failures else ():
            least, most = plan(graph).rows[node.id]
            assert least <= outcome.rows.get(node.id, 0) <= most, (text, node.id)


@pytest.mark.thorough
def test_some_run_at_the_planned_cost_and_nothing_fails_for_a_reason_of_ours(world):
    costs_what_is_planned(list(right(CHECKED, world))[:RUN])


@pytest.mark.bench
def test_many_do(world):
    """As many as there is time for: some cost a hundred times what others do."""
    begun = process_time()
    for first in takewhile(lambda _: process_time() - begun < SECONDS, range(120, 600, 20)):
        costs_what_is_planned(list(right(range(first, first + 20), world)))
