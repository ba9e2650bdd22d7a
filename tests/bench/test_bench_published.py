"""The published table is of the weights that ship."""

from __future__ import annotations

from pathlib import Path

from retouch.models import catalog

RECIPES = Path(__file__).parents[2] / "recipes"
STORYBOOK = catalog.find("storybook")


def test_the_published_table_is_of_the_weights_that_ship():
    assert STORYBOOK.digest[:12] in (RECIPES / "RESULTS.md").read_text("utf-8"), "run `retouch bench quality` again"
