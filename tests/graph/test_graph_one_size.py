"""Stages that take pictures of one size alone, and stages that ask networks of their own."""

from __future__ import annotations

import pytest
from PIL import Image

from retouch.graph.plan import plan
from retouch.graph.show import as_text


def test_a_picture_of_another_size_is_refused_at_the_stage(checked):
    (found,) = checked('open "wide.png" | glaze small | save "o.png"').errors
    assert found.code == "RT560"
    assert found.message == "'glaze small' takes pictures of 64 by 64 pixels, and this has 300 by 40"
    assert "crop size=64" in found.help


def test_what_is_square_and_larger_is_made_smaller(checked, folder):
    Image.new("RGB", (128, 128)).save(folder / "large.png")
    (found,) = checked('open "large.png" | glaze small | save "o.png"').errors
    assert found.help == "let it be made smaller: open … size=64"
    assert not checked('open "large.png" size=64 | glaze small | save "o.png"').errors


@pytest.mark.parametrize(
    "text",
    [
        'open "cat.png" | glaze small | save "o.png"',
        'open "cat.png" | invert ddim | sample | decode | glaze small | save "o.png"',
    ],
)
def test_a_picture_of_this_size_passes(checked, text):
    assert not checked(text).errors


def test_the_size_is_kept_through_an_edit(checked):
    found = checked('open "wide.png" size=60 | invert ddim | sample | decode | glaze small | save "o.png"')
    assert [error.code for error in found.errors] == ["RT560"]


def test_a_plan_tells_the_passes_of_a_stages_own_networks(graph):
    told = as_text(plan(graph('open "cat.png" | glaze small rounds=7 | save "o.png"')))
    assert "[7 passes of its own networks]" in told
    assert "own networks" not in as_text(plan(graph('open "cat.png" | glaze small rounds=0 | save "o.png"')))
