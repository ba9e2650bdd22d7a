"""The first error is the right one, in the right place: right recipes are spoilt in thirty-six ways."""

import random

from lang.corpus import EACH_FORM
from lang.damage import DAMAGES, places

from retouch.lang.parse import parse
from retouch.lang.syntax import Recipe

SITES = 2  # of each slip in each recipe
NAMES = ("RT2", "RT4")  # ranges of codes that need the installed stages or the files, which a parser does not know


def spoilt(rng: random.Random):
    """Every slip at a few places of every recipe."""
    for recipe, text in EACH_FORM.items():
        tree = parse(text)[0]
        for slip in DAMAGES:
            sites = places(tree, slip.place)
            for site in rng.sample(sites, min(SITES, len(sites))):
                made = slip.spoil(text, site)
                if made and made[0] != text:
                    yield recipe, slip, *made


def verdict(text: str, codes: frozenset[str], low: int, high: int) -> bool | None:
    """Whether the first error is right; None where the spoilt text is grammatical and names must show what is wrong."""
    found = parse(text)[1]
    if not found:
        return None if any(code.startswith(NAMES) for code in codes) else False
    return found[0].code in codes and low - 1 <= found[0].span.start <= high + 1


def test_almost_every_slip_is_named_and_placed_by_the_first_error():
    """At least 99 of 100 slips get the right code within a character of the right place."""
    hits, missed = 0, []
    for recipe, slip, text, low, high in spoilt(random.Random(7)):
        right = verdict(text, slip.codes, low, high)
        if right is False:
            missed.append(f"{slip.name} in {recipe}: {text[low:high]!r} gave {parse(text)[1][:1]}")
        hits += right is True
    assert hits > 1000
    assert hits >= 0.99 * (hits + len(missed)), f"{hits} right; wrong:\n" + "\n".join(missed)


def test_a_right_recipe_read_with_the_tolerant_grammar_gives_no_error_and_the_same_tree():
    """The two grammars agree about what is right."""
    from retouch.lang.diagnostics import Report
    from retouch.lang.recover import recover

    for text in EACH_FORM.values():
        report = Report()
        assert Recipe(recover(text, report)) == parse(text)[0]
        assert not report.items
