"""Spoiling right recipes, and judging whether the first error says what was done."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from retouch.check.check import check
from retouch.lang.diagnostics import Diagnostic
from retouch.lang.parse import parse
from tests.lang.damage import Damage, places
from tests.lang.stages import world


@dataclass
class Score:
    """How many first errors were right, and what was said instead where they were not."""

    right: int
    wrong: list[str]

    @property
    def share(self) -> float:
        """Of the right ones."""
        return self.right / (self.right + len(self.wrong))


def errors(text: str) -> tuple[Diagnostic, ...]:
    """What a check says is wrong."""
    return check(text, world()).errors


def spoilt(recipes: dict[str, str], slips: Iterable[Damage], sites: int) -> Iterator[tuple[str, Damage, str, range]]:
    """Every slip at up to so many places of every recipe: the wrong text, and where its first error may begin."""
    rng = random.Random(7)
    for name, text in recipes.items():
        tree = parse(text)[0]
        for slip in slips:
            found = places(tree, slip.place)
            for site in rng.sample(found, min(sites, len(found))):
                made = slip.spoil(text, site)
                if made and made[0] != text:
                    wrong, low, high = made
                    yield name, slip, wrong, range(low - 1, high + 2)


def score(recipes: dict[str, str], slips: Iterable[Damage], sites: int) -> Score:
    """The first errors of spoilt recipes."""
    result = Score(0, [])
    for name, slip, text, place in spoilt(recipes, slips, sites):
        found = errors(text)
        if found and found[0].code in slip.codes and found[0].span.start in place:
            result.right += 1
        else:
            said = [(item.code, item.message, item.span) for item in found[:1]]
            result.wrong.append(f"{slip.name} in {name}: {text[place.start + 1 : place.stop - 2]!r} gave {said}")
    return result
