"""What is said of draws that score alike, and of those that have no score."""

from __future__ import annotations

import pytest

from retouch.api import Unmet
from retouch_methods.rank.kept import order, told

NAN = float("nan")


def kept(scores: list[float], keep: int = 1) -> str:
    return told(scores, order(scores)[keep - 1], keep, "missed")


def test_of_equal_draws_the_first_is_kept_and_that_is_told() -> None:
    said = kept([0.5, 0.25, 0.25, 0.25])
    assert said.startswith("kept draw 2 of 4: 0.250 missed, the others 0.250 to 0.500")
    assert said.endswith("; draw 3, 4 scored the same, and of equal ones the first drawn comes first")
    assert "kept draw 3 of 4, place 2" in kept([0.5, 0.25, 0.25, 0.25], 2)


def test_nothing_is_said_of_ties_where_there_is_none() -> None:
    assert kept([0.5, 0.25]) == "kept draw 2 of 2: 0.250 missed, the others 0.500 to 0.500"
    assert kept([0.5]) == "kept draw 1 of 1: 0.500 missed"


def test_a_score_that_is_no_number_loses_and_is_named() -> None:
    """Wherever it stands: sorting by itself would leave it first."""
    for scores, best in (([NAN, 2.0, 1.0], 3), ([2.0, NAN, 1.0], 3), ([1.0, 2.0, NAN], 1)):
        said = kept(scores)
        assert said.startswith(f"kept draw {best} of 3: 1.000 missed, the others 2.000 to 2.000")
        assert said.endswith("is no number")


def test_where_none_is_left_nothing_is_kept() -> None:
    with pytest.raises(Unmet, match="no number for draw 1, 2"):
        kept([NAN, NAN])
    with pytest.raises(Unmet, match="one for 2 of 2"):
        kept([NAN, 1.0], keep=2)
