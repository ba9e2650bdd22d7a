"""What an installed stage demands of its options is known before anything runs, and the message's mend is enough."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from retouch.check.check import check
from retouch.check.reading.environment import Environment, reader
from retouch.core.grid import Grid
from retouch.graph.nodes import Picture
from retouch.graph.unheard import report_cut
from retouch.lang.diagnostics import Report
from retouch.lang.syntax import Span
from retouch.models.prompts.tokens import Tokens
from retouch.paths import folder
from retouch.plugins import registry
from retouch.plugins.cost import FACTS, misstated

INSTALLED = registry.load()
CAT = Picture(folder("recipes") / "pictures" / "cat_meadow.png", 0, "an orange cat in a meadow")


def said(text: str, code: str, **settings: str):
    """What is said with a code; other errors are none."""
    found = check(f'{text} | save "out.png"', Environment(INSTALLED, folder("recipes"), (CAT,), settings))
    assert {error.code for error in found.errors} <= {code}, [error.message for error in found.errors]
    return [item for item in found.diagnostics if item.code == code]


TURN = 'invert ddim "cat"->"dog" | '
MENDED = [
    (f"{TURN}mask box left=80% right=20% | blend latent", "left=80% right=20%", "left=0.2 right=0.8"),
    (f"{TURN}mask box top=80% bottom=20% | blend latent", "top=80% bottom=20%", "top=0.2 bottom=0.8"),
    ('invert edict "cat"->"dog" mix=0.93 strength=100% steps=250', "steps=250", "steps=206"),
    ('invert edict "cat"->"dog" mix=0.85 strength=50% steps=200', "steps=200", "steps=184"),
]


@pytest.mark.parametrize(("text", "wrong", "right"), MENDED)
def test_a_mend_with_values_is_enough(text, wrong, right):
    (found,) = said(text, "RT226")
    assert found.help.startswith(f"write {right}")
    assert not said(text.replace(wrong, right), "RT226")


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("mask box left=50% right=50% | blend latent", "mask box left=50% right=51% | blend latent"),
        ("mask box top=0 bottom=0 | blend latent", "mask box top=0 bottom=1% | blend latent"),
        (
            "mask diffedit swapped=true | blend latent",
            'mask diffedit swapped=true source_negative="blurry" | blend latent',
        ),
        ('attend pnp_features rows="unconditional" | sample guidance=1', 'attend pnp_features rows="own"'),
        (
            'attend pnp_features rows="unconditional" | sample guidance=1',
            'attend pnp_features rows="unconditional" | sample guidance=2',
        ),
        (
            'attend p2p edit="orange cat"->"dog" align="replace"',
            'attend p2p edit="orange cat"->"big dog" align="replace"',
        ),
        ("attend masactrl masked=true", "mask box right=50% | attend masactrl masked=true"),
        ('attend p2p words=["dog"] word_replace=[0.2, 0.3]', 'attend p2p words=["dog"] word_replace=[0.2]'),
        ('guide pix2pix_zero before=["a cat"]', 'guide pix2pix_zero before=["a cat"] after=["a dog"]'),
    ],
)
def test_options_that_do_not_go_together_are_refused(wrong, right):
    assert said(TURN + wrong, "RT226")
    assert not said(TURN + right, "RT226")


def test_a_mask_that_the_turns_end_took_away_is_missed_before_the_run():
    first = f"{TURN}mask box right=50% | blend latent | sample | "
    second = 'invert ddim "dog"->"fox" | attend masactrl masked=true'
    (found,) = said(first + second, "RT226")
    assert "wants a mask in this turn" in found.message
    area = f"area = mask box right=50%\n{first}{second} mask=area"
    assert not said(area, "RT226")


@pytest.mark.parametrize("name", ["orange", "#ff80", "ff8000", "#gg8000"])
def test_what_is_no_colour_is_refused_with_one_that_is(name):
    text = f'{TURN}mask color "{name}" | blend latent'
    (found,) = said(text, "RT228")
    assert not said(text.replace(f'"{name}"', found.help.removeprefix("write ")), "RT228")


def test_more_steps_than_the_model_has_levels_are_refused_and_as_many_as_it_has_are_not():
    (found,) = said(f"{TURN.replace(' | ', ' steps=1000')}", "RT317")
    most = found.help.removeprefix("write steps=")
    assert not said(f"{TURN.replace(' | ', f' steps={most}')}", "RT317")
    assert said(TURN.removesuffix(" | "), "RT317", steps="1000")


@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
@pytest.mark.parametrize("offset", [0, 1, 7])
def test_what_fits_a_model_leaves_none_of_its_levels(spacing, offset):
    grid = Grid(100, offset, spacing)
    for steps in range(1, 120):
        if grid.fits(steps):
            visited = grid.timesteps(steps)
            assert len(visited) == steps
            assert max(visited) < 100
        else:
            assert grid.fits(grid.most(steps))
            with pytest.raises(ValueError, match=f"{steps} steps do not fit"):
                grid.timesteps(steps)


# A tuning's strength is of the trained timesteps, on a grid of its own.
STRONG = [c.name for c in INSTALLED.cards if c.option("strength") and not c.predicts and c.family != "tune"]


@pytest.mark.parametrize("stage", STRONG)
def test_no_stage_walks_no_step(stage):
    """Of every stage with a strength, whether the walk is its result or inside of it."""
    text = f'invert ddim "cat"->"dog" | {stage} strength=1% | blend latent'
    text = f'{stage} "cat"->"dog" strength=1%' if stage.startswith("invert") else text
    (found,) = said(text, "RT312")
    assert "strength=2%" in found.help
    assert not said(text.replace("strength=1%", "strength=2%"), "RT312")


MOOT = [("clamp=2", "ceiling=0.1"), ("clamp=2", ""), ("scale=3", "")]


@pytest.mark.parametrize(("moot", "by"), MOOT)
def test_an_option_that_nothing_reads_is_told(moot, by):
    """The embedded model's card gives diffedit a ceiling, so `clamp` is moot even where the recipe gives none."""
    (found,) = said(f"{TURN}mask diffedit {moot} {by} | blend latent", "RT227")
    assert found.severity == "warning"
    assert found.message.startswith(f"'{moot.partition('=')[0]}' changes nothing here")
    assert not said(f"{TURN}mask diffedit {by} | blend latent", "RT227")


def test_an_option_that_is_read_is_not_told():
    assert not said(f"{TURN}mask diffedit clamp=2 ceiling=0 | blend latent", "RT227")
    assert not said(f'{TURN}mask diffedit scale=3 source_negative="blurry" | blend latent', "RT227")


def test_a_setting_that_nothing_reads_is_told_too():
    assert said(f"{TURN}mask diffedit | blend latent", "RT227", scale="3")


@pytest.mark.parametrize("card", INSTALLED.cards, ids=lambda card: card.name)
def test_every_demand_can_be_read(card):
    """By what the registry knows: facts of the core families, and those that a plugin's own cards state."""
    assert misstated(card, FACTS.union(*(other.facts for other in INSTALLED.cards))) is None


NAMED = [
    ('mask attention words=["{}"] | blend latent', "cat", "the caption"),
    ('attend p2p words=["{}"] word_replace=[0.2]', "dog", "the target prompt"),
    ('attend p2p | blend local words=["{}"]', "dog", "the target prompt"),
    ('attend p2p | blend local words=["cat", "{}"]', "meadow", "the caption"),
    ('attend p2p | blend local keep=["{}"]', "orange cat", "the caption"),
]


@pytest.mark.parametrize(("stages", "there", "where"), NAMED)
@pytest.mark.parametrize("absent", ["fish", "ca", "orange meadow"])
def test_words_that_no_prompt_of_theirs_has_are_refused(stages, there, where, absent):
    (found,) = said(TURN + stages.format(absent), "RT316")
    assert f"names '{absent}', which does not occur in" in found.message
    assert where in found.message
    assert not said(TURN + stages.format(there), "RT316")


@pytest.mark.parametrize("card", INSTALLED.cards, ids=lambda card: card.name)
def test_every_option_whose_doc_speaks_of_words_of_a_prompt_says_so_in_its_type(card):
    """An option of another plugin author's kind: it would fail in the run, after the model was loaded."""
    for option in card.options:
        assert bool(option.kind.words) == bool(re.match("words of (the|either)", option.doc)), option.name


def test_the_words_are_those_of_each_picture_s_own_caption():
    """One caption among many that lacks them is that picture's own matter."""
    here = folder("recipes") / "pictures"
    pictures = (CAT, Picture(here / "cat_night.png", 1, "a cat"), Picture(here / "dog_beach.png", 2, None))
    world = Environment(INSTALLED, folder("recipes"), pictures)
    found = check('invert ddim "cat"->"dog" | mask attention words=["meadow"] | blend latent', world)
    assert [graph.item for graph in found.graphs] == [CAT]
    assert [[each.code for each in found.errors_of(one)] for one in pictures] == [[], ["RT316"], ["RT316"]]
    assert "--caption" in found.errors_of(pictures[2])[0].help or "cat" in found.errors_of(pictures[2])[0].message


def test_a_word_that_a_caption_may_still_bring_is_no_mistake():
    text = 'invert ddim "cat"->"dog" | mask attention words=["meadow"] | blend latent'
    assert not check(text, Environment(INSTALLED, folder("recipes"))).errors
    assert not check('invert ddim "dog" | attend p2p align="replace"', Environment(INSTALLED, folder("recipes"))).errors


def test_words_of_a_script_without_blanks_are_found():
    picture = (Picture(CAT.path, 0, "草地上的猫"),)
    text = 'invert ddim "猫"->"狗" | mask attention words=["草地"] | attend p2p words=["狗"] | blend latent'
    world = Environment(INSTALLED, folder("recipes"), picture, reader=lambda model: None)  # to storybook they are alike
    assert not check(text, world).errors
    assert {found.code for found in check(text, replace(world, reader=reader)).errors} == {"RT511"}


ENDED = [
    (f"{TURN}mask box right=50% | sample | mask dilate", "a Mask", "sample walk"),
    (f"{TURN}mask box right=50% | blend latent | sample | blend pixel", "a Mask", "sample walk"),
    (f"{TURN}mask box right=50% | blend pixel | mask dilate", "a Mask", "blend pixel"),
    (f"{TURN}mask box right=50% | blend latent | invert ddim | mask dilate | blend latent", "a Mask", "invert ddim"),
    (f"{TURN}sample | sample", "a Trajectory", "sample walk"),
    (f"{TURN}sample | guide semantic", "an edit", "sample walk"),
]


@pytest.mark.parametrize(("text", "what", "by"), ENDED)
def test_what_comes_too_late_is_told_which_stage_ended_the_turn(text, what, by):
    found = said(text, "RT319")
    assert f"needs {what}, and '{by}' has ended the turn" in found[0].message
    assert found[0].help.startswith(f"move it before '{by}', or ")
    where = [text[span.start : span.end] for _, span in found[0].notes if span]
    assert where[1].startswith(by.split()[0])


def test_what_no_turn_ever_had_is_not_there():
    (found,) = said("sample", "RT301")
    assert found.help == "add an 'invert' stage before it"


@pytest.mark.parametrize(
    ("inside", "code"),
    [
        ('invert edit_friendly "a cat" -> "A  cat"', "RT511"),
        (f'invert edit_friendly "a cat" -> "a dog {"very " * 30}far away"', "RT512"),
        ('mask box right=50% | crop window size=8000 | invert edit_friendly "a cat" -> "a dog" | paste', "RT404"),
    ],
)
def test_what_is_told_of_a_flow_is_told_of_one_in_brackets(inside, code):
    """Its prompts, and sizes that it makes itself; once, at its own place."""
    world = Environment(INSTALLED, folder("recipes"), (Picture(CAT.path),))
    plain, bracketed = check(inside, world), check(f"repaint ({inside})", world)
    assert [each.code for each in plain.diagnostics] == [each.code for each in bracketed.diagnostics] == [code]
    shift = len("repaint (")
    assert bracketed.diagnostics[0].span.start == plain.diagnostics[0].span.start + shift


class FiveCharacters:
    """Reads no more of a text."""

    def heard(self, text: str) -> Tokens:
        return Tokens((1,), ((0, 5),), (text[:5],), text[5:].lstrip(), 1)


def test_where_a_model_stops_reading_before_a_comma_the_word_behind_it_is_named():
    report_cut(FiveCharacters(), {"a cat , a dog": Span(0, 1)}, report := Report())
    assert "stops reading the prompt at 'a'" in report.items[0].message


@pytest.mark.parametrize(
    ("recipe", "alike"),
    [
        ('invert ddim "cat"*2 | attend p2p | guide direction', True),
        ('invert ddim "cat"->"Cat" "meadow"*2 | attend p2p | guide direction', True),
        ('invert ddim "cat"->"dog"*2 | attend p2p | guide direction', False),
        ('gan invert | gan edit "cat"*2 method="nada"', True),
        ('gan invert | gan edit "cat"*2', False),
        ('gan invert | gan edit "cat"->"dog" method="nada"', False),
        ('eye clip "storybook" | tune diffusionclip source="cat" target="cat" | invert ddim | sample', True),
        ('eye clip "storybook" | tune diffusionclip source="cat" target="dog" | invert ddim | sample', False),
    ],
)
def test_what_goes_from_one_text_to_another_needs_two(recipe, alike):
    found = check(recipe, Environment(INSTALLED, folder("recipes"), (replace(CAT, caption="a cat in a meadow"),)))
    assert [each.code for each in found.errors] == ["RT226"] * alike, [each.message for each in found.errors]
    unknown = check(recipe, Environment(INSTALLED, folder("recipes")))  # what a picture brings may yet be another
    assert "RT226" not in [each.code for each in unknown.errors] or "diffusionclip" in recipe
