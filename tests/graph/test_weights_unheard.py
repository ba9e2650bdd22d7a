"""A weight of words that no control gives them is told: to the model itself a prompt says which words alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from retouch.api.checking import Environment, check, load_registry
from retouch.graph.nodes import Picture


@pytest.mark.parametrize(
    ("recipe", "told"),
    [
        ('invert ddim "cat"*2', 1),
        ('invert ddim "cat"->"dog"*1.5 "meadow"*2', 2),
        ('invert ddim "cat"*2 | attend masactrl', 1),
        ('invert ddim "cat"*2 | attend p2p cross_replace=0', 1),
        ('invert ddim "cat"*2 | attend p2p edit="cat"->"fox"', 1),
        ('distil dds "cat"->"dog"*1.5', 1),
        ('draw (invert sdedit "cat"*2) seeds=2 | rank change', 1),
        ('invert ddim "cat"*2 | attend p2p', 0),
        ('f = invert ddim "cat"*2\nf | attend p2p', 0),
        ('draw (invert sdedit "cat"*2 | attend p2p) seeds=2 | rank change', 0),
        ('tune imagic "cat"->"dog"*2 | tune prompts | invert ddim | attend p2p', 0),
        ('invert ddim "cat"->"dog"*1', 0),
    ],
)
def test_a_weight_that_no_control_gives_is_told(recipe: str, told: int) -> None:
    world = Environment(load_registry(), Path(), (Picture(Path("IMAGE"), caption="a cat in a meadow", known=False),))
    codes = [each.code for each in check(recipe, world).diagnostics]
    assert codes.count("RT246") == told, codes


@pytest.mark.parametrize(
    ("recipe", "helped"),
    [
        ('invert ddim "cat"->"dog"*2', True),
        ('distil dds "cat"->"dog"*2', False),  # these walk through nothing that a control could act in
        ('gan invert | gan edit "cat"->"dog"*2', False),
    ],
)
def test_a_control_is_advised_where_one_can_act(recipe: str, helped: bool) -> None:
    world = Environment(load_registry(), Path(), (Picture(Path("IMAGE"), caption="a cat in a meadow", known=False),))
    (told,) = (each for each in check(recipe, world).diagnostics if each.code == "RT246")
    assert ("'attend p2p'" in told.help) == helped
    with_control = check(f"{recipe} | attend p2p", world)
    assert bool(with_control.errors) != helped
