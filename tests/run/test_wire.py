"""What runs and workers say to each other stands in lines of text, and nothing else is made of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from retouch.graph.nodes import Picture
from retouch.run.shards.messages import Alive
from retouch.run.shards.wire import NotData, packed, unpacked


@pytest.mark.parametrize(
    "value",
    [None, 1, 1.5, float("inf"), "ü\ud800\n", (1, [2, {"a": (3,)}]), {1: {"b"}}, Path("a b"), b"\0\xff", Alive()],
)
def test_a_value_comes_out_of_a_line_as_it_went_in(value):
    line = packed(value)
    assert "\n" not in line
    assert unpacked(line) == value
    assert type(unpacked(line)) is type(value) or isinstance(value, set)


def test_what_many_share_is_told_once_and_is_one_again():
    shared = Picture(Path("x" * 1000))
    one, two = unpacked(line := packed([shared, shared]))
    assert one is two
    assert len(line) < 1500


@pytest.mark.parametrize("value", [object(), lambda: 1, {"a": [object()]}, OSError()])
def test_what_is_no_data_is_refused(value):
    with pytest.raises(NotData):
        packed(value)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "no JSON",
        '["x"]',
        '["c", "os:system", "true"]',
        '["c", "retouch.run.session:execute"]',
        '["c", "retouch.run.session:Path", "x"]',
        '["c", "retouch.nowhere:X"]',
        '["c", "retouch.graph.nodes:Picture"]',
        '["r", 3]',
        "[" * 100_000,
    ],
)
def test_a_line_that_is_none_of_ours_makes_nothing(line):
    with pytest.raises(ValueError, match=r"."):
        unpacked(line)
