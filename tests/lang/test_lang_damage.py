"""The first error is the right one, in the right place: right recipes are spoilt in seventy ways."""

from itertools import islice

import pytest

from retouch.lang.parse import parse
from retouch.lang.syntax import RecipeSyntax
from tests.lang.corpus import EACH_FORM, RECIPES, UNSEEN
from tests.lang.damage import DAMAGES
from tests.lang.spoiling import errors, score
from tests.lang.unseen_damage import UNSEEN_DAMAGES

SETS = {
    "recipes and slips that the parser was made with": (EACH_FORM, DAMAGES, 0.99),
    "new recipes": (UNSEEN, DAMAGES, 0.97),
    "new slips": (EACH_FORM, UNSEEN_DAMAGES, 0.97),
    "new slips in new recipes": (UNSEEN, UNSEEN_DAMAGES, 0.97),
}


*KNOWN, NEW = SETS  # what is new altogether says the most


@pytest.mark.parametrize("name", [*(pytest.param(known, marks=pytest.mark.thorough) for known in KNOWN), NEW])
def test_almost_every_slip_is_named_and_placed_by_the_first_error(name):
    """One place of each slip in every other recipe: the right code within a character of the right place."""
    recipes, slips, least = SETS[name]
    found = score(dict(islice(recipes.items(), 0, None, 2)), slips, sites=1)
    assert found.right > 75
    assert found.share >= least, f"{found.right} right; wrong:\n" + "\n".join(found.wrong)


@pytest.mark.bench
@pytest.mark.parametrize("name", SETS)
def test_the_same_at_every_place(name):
    """All places of each slip in each recipe."""
    recipes, slips, least = SETS[name]
    found = score(recipes, slips, sites=99)
    print(f"{name}: {found.share:.2%} of {found.right + len(found.wrong)}")
    assert found.share >= least, f"{found.right} right; wrong:\n" + "\n".join(found.wrong)


@pytest.mark.parametrize("name", [*RECIPES, *UNSEEN])
def test_the_recipes_that_are_spoilt_are_right(name):
    """What a spoilt recipe is told is about what was spoilt."""
    assert not errors({**RECIPES, **UNSEEN}[name])


def test_a_right_recipe_read_with_the_tolerant_grammar_gives_no_error_and_the_same_tree():
    """The two grammars agree about what is right."""
    from retouch.lang.diagnostics import Report
    from retouch.lang.mistakes.recover import recover

    for text in [*EACH_FORM.values(), *UNSEEN.values()]:
        report = Report()
        assert RecipeSyntax(recover(text, report)) == parse(text)[0]
        assert not report.items
