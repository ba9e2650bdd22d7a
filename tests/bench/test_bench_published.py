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


def test_every_editors_row_differs_from_the_inversion_alone():
    """In what it measures, not in what it costs: an editor that does nothing would stand there as a method."""
    lines = RESULTS.read_text("utf-8").splitlines()
    begin = next(i for i, line in enumerate(lines) if line.startswith("| inversion | editor |"))
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[begin + 2 :] if line.startswith("| ")]
    table = {(row[0], row[1]): tuple(row[2:8]) for row in rows if len(row) == lines[begin].count("|") - 1}
    alone = {inversion: figures for (inversion, editor), figures in table.items() if editor == "none"}
    assert len(alone) > 2
    for (inversion, editor), figures in table.items():
        assert editor == "none" or figures != alone.get(inversion), (inversion, editor)
