"""The pictures of the gallery are of the recipes, the card and the weights that ship."""

from __future__ import annotations

import shutil

import kinds
import page
import pytest
import remake

import retouch
from retouch import pictures
from retouch.paths import folder
from retouch_bench.edits import KINDS, held_out_edits

GALLERY = folder("recipes") / "gallery"


@pytest.mark.parametrize("shown", sorted(GALLERY.glob("*.png")), ids=lambda path: path.stem)
def test_a_picture_is_of_the_recipe_and_the_card_that_ship(shown):
    assert told(shown) == decisive(page.made_with(remake.shipped(shown.stem), page.source_of(shown.stem)))


@pytest.mark.parametrize("edit", held_out_edits(len(KINDS)), ids=lambda edit: edit.kind)
def test_a_picture_of_a_kind_is_of_the_card_that_ships(edit, tmp_path):
    source = shutil.copy(page.CAT, tmp_path / f"{edit.name}-source.png")
    assert told(kinds.page_of(edit)) == decisive(kinds.how_made(edit, source))


@pytest.mark.parametrize("stage", ["mask diffedit ceiling=0.05", "blend pixel feather=2"])
def test_another_setting_of_a_stage_makes_a_picture_out_of_date(stage):
    recipe, (method, _, _) = remake.shipped("exact"), stage.rpartition(" ")
    assert method in recipe.text
    changed = retouch.recipe(recipe.text.replace(method, stage))
    assert decisive(page.made_with(changed, page.CAT)) != decisive(page.made_with(recipe, page.CAT))


@pytest.mark.parametrize("setting", [{"steps": 49}, {"seed": 1}, {"guidance": 3}])
def test_another_setting_of_the_run_makes_a_picture_out_of_date(setting):
    recipe = remake.shipped("exact")
    assert decisive(page.made_with(recipe, page.CAT, **setting)) != decisive(page.made_with(recipe, page.CAT))


def told(shown):
    """What a page says of itself; `make gallery` makes all anew."""
    return decisive(pictures.metadata(shown) or {})


def decisive(how):
    return {name: how.get(name) for name in page.DECIDES}
