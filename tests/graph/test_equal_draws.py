"""Draws of a flow that draws no noise are all the same picture, which is said before a run pays for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from retouch.api.checking import Environment, check, load_registry
from retouch.graph.nodes import Picture


@pytest.mark.parametrize(
    ("flow", "equal"),
    [
        ('invert ddim "cat"->"dog"', True),
        ('invert ddim "cat"->"dog" | mask box right=50% | blend latent', True),
        ('invert sdedit "cat"->"dog"', False),
        ('invert ddim "cat"->"dog" | solver ddpm', False),
        ('repaint (invert sdedit "cat"->"dog")', False),
        ('repaint (invert ddim "cat"->"dog")', True),
    ],
)
def test_a_flow_is_said_to_make_equal_draws_where_nothing_in_it_draws_noise(flow: str, *, equal: bool) -> None:
    world = Environment(load_registry(), Path(), (Picture(Path("IMAGE"), caption="a cat in a meadow", known=False),))
    checked = check(f"draw ({flow}) seeds=2 | rank image_text", world)
    assert [each.code for each in checked.diagnostics] == ["RT561"] * equal


def test_one_draw_has_none_that_it_could_equal() -> None:
    world = Environment(load_registry(), Path(), (Picture(Path("IMAGE"), caption="a cat in a meadow", known=False),))
    checked = check('draw (invert ddim "cat"->"dog") seeds=1 | rank image_text', world)
    assert not checked.diagnostics
