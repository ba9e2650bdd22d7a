"""A flow in brackets that walks without an edit, beside an edit that stands outside of it, is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from retouch.api.checking import Environment, check, load_registry
from retouch.graph.nodes import Picture


@pytest.mark.parametrize(
    ("recipe", "told"),
    [
        ('mask diffedit "cat"->"dog" | draw (invert sdedit) seeds=2 | rank image_text', True),
        ('mask diffedit "cat"->"dog" | tiles (invert edit_friendly | blend latent)', True),
        ('mask diffedit "cat"->"dog" | tiles (tiles (invert sdedit))', True),
        ('mask diffedit "cat"->"dog" | draw (invert sdedit "cat"->"fox") seeds=2 | rank image_text', False),
        (
            'mask diffedit "cat"->"dog" | draw (invert edit_friendly "cat"*1.5 | attend p2p) seeds=2 | rank image_text',
            False,
        ),
        ('mask diffedit "cat"->"dog" | tiles (tiles (invert sdedit "cat"->"dog"))', False),
        ('mask diffedit "cat"->"dog" | tiles (encode | decode) | invert sdedit | blend latent', False),
        ("mask box right=50% | draw (invert sdedit) seeds=2 | rank image_text", False),
        ('invert sdedit "cat"->"dog" | sample | decode | repaint (invert sdedit)', False),
    ],
)
def test_an_edit_that_brackets_do_not_hear_is_told(recipe: str, *, told: bool) -> None:
    world = Environment(load_registry(), Path(), (Picture(Path("IMAGE"), caption="a cat in a meadow", known=False),))
    codes = [each.code for each in check(recipe, world).diagnostics]
    assert ("RT566" in codes) == told, codes
    assert not [code for code in codes if code != "RT566"], codes
