"""One tree, one layout: text, tree and JSON turn into each other without loss."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retouch.lang.format import format_recipe
from retouch.lang.jsonform import from_json, to_json
from retouch.lang.parse import parse
from tests.lang.corpus import RECIPES
from tests.lang.trees import recipes

some = settings(max_examples=100, deadline=None)


def laid_out(source: str) -> str:
    """The layout of a recipe that must be right."""
    tree, found = parse(source)
    assert not found, found[0].render(source)
    return format_recipe(tree, source)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_laid_out_to_the_same_tree_and_layout_is_idempotent(name):
    """`fmt` changes how a recipe looks, once, and never what it says."""
    laid = laid_out(RECIPES[name])
    assert parse(laid)[0] == parse(RECIPES[name])[0]
    assert laid_out(laid) == laid


@pytest.mark.parametrize("name", RECIPES)
def test_json_keeps_comments_blank_lines_and_line_breaks(name):
    """Text to JSON to text is the layout of the text."""
    source = RECIPES[name]
    assert from_json(json.loads(json.dumps(to_json(parse(source)[0], source)))) == laid_out(source)


@pytest.mark.thorough
@settings(max_examples=60, deadline=None)
@given(recipes)
def test_any_tree_is_laid_out_and_goes_through_json_and_reads_back_as_itself(tree):
    """parse ∘ format and JSON are identities, and format is idempotent."""
    laid = format_recipe(tree)
    again, found = parse(laid)
    assert not found, found[0].render(laid)
    assert again == tree
    assert format_recipe(again, laid) == laid
    assert parse(from_json(json.loads(json.dumps(to_json(tree)))))[0] == tree


def noisy(source: str, data: st.DataObject) -> str:
    """The same recipe with comments, blank lines, tabs, other line ends and a byte order mark."""
    out = []
    for number, line in enumerate(source.split("\n")):
        if data.draw(st.integers(0, 3)) == 0:
            out.append(f"# above {number}")
        behind = f"\t# behind {number}" if line and "#" not in line and data.draw(st.booleans()) else ""
        out.append((line if '"' in line else line.replace(" | ", "\t|  ")) + behind)
        out += [data.draw(st.sampled_from(["", " ", "\t"]))] * data.draw(st.integers(0, 2))
    end = data.draw(st.sampled_from(["\n", "\r\n", "\r"]))
    return data.draw(st.sampled_from(["", "\ufeff"])) + end.join(out)


@some
@given(st.sampled_from(sorted(RECIPES)), st.data())
def test_noise_means_nothing_and_no_comment_is_lost(name, data):
    """Comments, blank lines, tabs, CRLF and a byte order mark change no tree; layout keeps every comment."""
    source = noisy(RECIPES[name], data)
    tree, found = parse(source)
    assert not found, found[0].render(source)
    assert tree == parse(RECIPES[name])[0]
    laid = laid_out(source)
    again = parse(laid)[0]
    assert again == tree
    assert laid_out(laid) == laid
    bare = [sorted(re.sub(r"^# ?", "", comment.text) for comment in recipe.comments) for recipe in (tree, again)]
    assert bare[0] == bare[1]
    assert from_json(to_json(tree, source)) == laid


def test_a_lone_text_in_brackets_that_has_no_width_is_written_as_an_escape():
    """A recipe never shows what cannot be seen."""
    assert laid_out('open "a\\u202eb"\n') == 'open "a\\u202eb"\n'


def test_a_line_that_is_too_long_gives_each_stage_its_own():
    """A hundred columns are enough for everyone."""
    laid = laid_out(" | ".join(["invert ddim steps=50"] * 6))
    assert laid.split("\n")[1:-1] == ["  | invert ddim steps=50"] * 5


def test_a_recipe_with_mistakes_has_no_layout():
    """What was not understood is not rewritten."""
    tree = parse("invert ddim steps= | sample\nlet x")[0]
    with pytest.raises(ValueError, match="mistakes"):
        format_recipe(tree)


STAGE = {"is": "stage", "family": "sample"}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ([], "must be an object"),
        ({"retouch": 2}, "must be 1"),
        ({"retouch": 1, "statement": []}, "unknown key 'statement'"),
        ({"retouch": 1, "statements": {}}, "statements must be a list"),
        ({"retouch": 1, "statements": [{"is": "stage"}]}, "'is' must be version or use"),
        ({"retouch": 1, "statements": [{"is": "flow", "part": [STAGE]}]}, r"statements\[0\]: unknown key 'part'"),
        ({"retouch": 1, "statements": [{"is": "flow", "parts": [{**STAGE, "span": 1}]}]}, "unknown key 'span'"),
        ({"retouch": 1, "statements": [{"is": "flow", "parts": [{"is": "stage"}]}]}, "family is missing"),
        ({"retouch": 1, "statements": [{"is": "flow", "parts": [{**STAGE, "family": 3}]}]}, "family must be word"),
        ({"retouch": 1, "statements": [{"is": "flow", "parts": [{**STAGE, "family": "a\nb"}]}]}, "not a recipe"),
        ({"retouch": 1, "lines": [{"line": 1, "text": "sample"}]}, r"lines\[0\]"),
        ({"retouch": 1, "lines": [{"line": 9, "text": "# a", "behind": True}]}, "there is no line 9"),
        ({"retouch": 1, "lines": 3}, "lines must be a list"),
    ],
)
def test_json_that_is_no_recipe_is_refused_with_the_place(data, says):
    """Unknown keys, wrong types and smuggled text are errors."""
    with pytest.raises(ValueError, match=says):
        from_json(data)
