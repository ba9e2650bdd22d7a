"""Every example of the language's reference is checked as a user's recipe is, by the stages that are installed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

from retouch.check.check import check
from retouch.check.reading.environment import Environment
from retouch.lang import tables
from retouch.lang.format import format_recipe
from retouch.lang.parse import parse
from retouch.plugins import registry

PAGE = (tables.GRAMMAR / "README.md").read_text("utf-8")
BLOCK = re.compile(r"^```retouch(?: wrong (RT\d+))?\n(.*?)^```", re.MULTILINE | re.DOTALL)
EXAMPLES = [(found[1], found[2]) for found in BLOCK.finditer(PAGE)]
PICTURES = ("images/cat.png", "images/dog.png", "images/plain.png", "photos/one.png", "photos/two.png")
SWAPS = "def swap(a, b) = invert edict | attend p2p a->b | mask diffedit | blend latent\n"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The files that the page names, and whatever is installed."""
    folder: Path = tmp_path_factory.mktemp("reference")
    for name in PICTURES:
        (folder / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (64, 64)).save(folder / name)
    (folder / "swaps.retouch").write_text(SWAPS)
    return Environment(registry.load(), folder, here=folder)


@pytest.mark.parametrize("text", [text for code, text in EXAMPLES if not code])
def test_an_example_is_right_and_laid_out(world, text):
    """No error, no warning, graphs to run, and the one layout."""
    found = check(text, world)
    assert not [item.render(text) for item in found.diagnostics]
    assert found.graphs
    assert format_recipe(parse(text)[0], text) == text


@pytest.mark.parametrize(("code", "text"), [(code, text) for code, text in EXAMPLES if code])
def test_a_wrong_example_is_wrong_for_the_one_reason_that_the_page_gives(world, code, text):
    """Nothing else is said about it."""
    assert {item.code for item in check(text, world).errors} == {code}


def test_the_page_has_examples_of_both_kinds_and_names_the_limits():
    """The page is what it says it is."""
    from retouch.graph import limits
    from retouch.lang.source import LIMIT_DEPTH, LIMIT_LENGTH

    assert len([code for code, _ in EXAMPLES if code]) > 10
    assert len([code for code, _ in EXAMPLES if not code]) > 10
    numbers = (LIMIT_LENGTH, LIMIT_DEPTH, limits.MOST_STAGES, limits.MOST_VARIANTS, limits.MOST_FILES)
    assert all(f"{number:,}" in PAGE for number in numbers)
