"""A layer that an eye has not is refused before anything loads."""

from __future__ import annotations

import pytest

from retouch.api.checking import Environment, check, load_registry


@pytest.mark.parametrize(("layer", "wrong"), [(4, True), (3, False), (-4, False), (-5, True)])
@pytest.mark.parametrize("eyes", [1, 2])
def test_a_layer_that_the_eye_has_not_is_refused(layer, wrong, eyes, tmp_path):
    eye = 'eye vit "storybook" | ' * eyes
    recipe = f'{eye}invert ddim "cat"->"dog" | guide structure layer={layer}'
    found = check(recipe, Environment(load_registry(), tmp_path)).errors
    assert [each.code for each in found] == ["RT226"] * wrong
    assert all(f"layer {layer} of an eye that has 4" in each.message for each in found)
