"""What people write who have not seen a recipe yet is answered with one that is right."""

from __future__ import annotations

import re

import pytest

from retouch.check.reading.resolve_stage import _EVERYDAY


@pytest.mark.parametrize("word", _EVERYDAY)
def test_the_answer_to_an_everyday_word_is_a_recipe(checked, word):
    (error,) = checked(f'open "cat.png" caption="a cat hat" | {word} | save "o.png"').errors
    assert (error.code, error.help) == ("RT201", _EVERYDAY[word])
    if meant := re.search(r"(invert|mask) .*", error.help):
        edit = meant[0].replace("edit_friendly", "ddim")  # as the plugin of these tests has it
        assert not checked(f'open "cat.png" caption="a cat hat" | {edit} | save "o.png"').errors
