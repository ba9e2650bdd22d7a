"""The published table is whole, and of the weights that ship."""

from __future__ import annotations

from pathlib import Path

from retouch.models import catalog

RESULTS = Path(__file__).parents[2] / "recipes" / "RESULTS.md"


def test_the_published_table_is_of_all_edits_and_of_the_weights_that_ship():
    model = f"model storybook ({catalog.find('storybook').digest[:12]})"
    assert f"\n200 held-out edits, 20 steps, seed 0; {model}" in RESULTS.read_text("utf-8"), (
        "run `retouch bench quality`"
    )
