"""Weights and switches of other programs are told for what they are; following the message does what they meant."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from retouch.check.reading.environment import named
from retouch.lang.diagnostics import Report
from retouch.lang.mistakes.foreign_prompts import foreign

BEGIN = 'open "cat.png" caption="a cat in a meadow" | invert ddim '


@dataclass
class Meant:
    """What the prompt of a turn comes to."""

    target: str
    weights: tuple[tuple[str, float], ...] = ()


MEANT = {
    "(dog:1.3)": Meant("a dog in a meadow", (("dog", 1.3),)),
    "a fluffy (dog:1.3)": Meant("a a fluffy dog in a meadow", (("dog", 1.3),)),
    "((dog))": Meant("a dog in a meadow", (("dog", 1.21),)),
    "big ((red dog))": Meant("a big red dog in a meadow", (("red dog", 1.21),)),
    "dog++": Meant("a dog in a meadow", (("dog", 1.21),)),
    "dog--": Meant("a dog in a meadow", (("dog", 0.81),)),
    "(red dog)1.4": Meant("a red dog in a meadow", (("red dog", 1.4),)),
    "(red dog)+": Meant("a red dog in a meadow", (("red dog", 1.1),)),
    "{{dog}}": Meant("a dog in a meadow", (("dog", 1.103),)),
    "dog::2": Meant("a dog in a meadow", (("dog", 2.0),)),
    "dog <lora:fur:0.8>": Meant("a dog in a meadow"),
    "dog BREAK a hat": Meant("a dog a hat in a meadow"),
    "dog AND hat": Meant("a dog and hat in a meadow"),
    "dog --ar 16:9": Meant("a dog in a meadow"),
}


def written(mend: str) -> str:
    """What a message says to write."""
    return mend.removeprefix("write ").partition(";")[0]


@pytest.mark.parametrize("text", MEANT)
def test_the_mend_of_a_side_says_what_was_meant(checked, text):
    (found,) = checked(f'{BEGIN}"cat"->"{text}" | save "o.png"').errors
    assert (found.code, found.message) == ("RT314", f"'{foreign(text).what}' would be read as words")
    mended = checked(f'{BEGIN}"cat"->{written(found.help)} | attend p2p | save "o.png"')
    assert not mended.diagnostics
    (edit,) = {n.inputs["edit"].settings["target"]: n.inputs["edit"] for n in mended.graphs[0].nodes
               if "edit" in n.inputs}.values()  # fmt: skip
    assert Meant(edit.settings["target"], edit.settings["weights"]) == MEANT[text]


@pytest.mark.parametrize("arrow", ["->", " -> ", " => ", "→"])
def test_an_arrow_inside_the_quotes_is_told_with_where_they_stand(checked, arrow):
    (found,) = checked(f'{BEGIN}"cat{arrow}dog" | save "o.png"').errors
    assert (found.code, found.help) == ("RT314", 'each side has its own quotes: "cat"->"dog"')
    assert not checked(f'{BEGIN}{found.help.partition(": ")[2]} | save "o.png"').diagnostics


@pytest.mark.parametrize(
    ("text", "change", "target"),
    [
        ("[dog:fox:0.5]", '"dog"->"fox"', "a fox"),
        ("[:hat:0.5]", '+"hat"', "a dog, hat"),
        ("[hat:0.5]", '+"hat"', "a dog, hat"),
        ("[dog::0.5]", '-"dog"', "a"),
    ],
)
def test_a_prompt_that_switches_is_a_change(checked, text, change, target):
    (found,) = checked(f'open "cat.png" caption="a {text}" | invert ddim "a"->"the" | save "o.png"').errors
    assert (found.code, found.help) == ("RT314", f"write the change {change}")
    mended = checked(f'open "cat.png" caption="a dog" | invert ddim {change} | save "o.png"')
    assert not mended.errors
    (made,) = {n.inputs["edit"].settings["target"] for n in mended.graphs[0].nodes if "edit" in n.inputs}
    assert made == target


def test_alternation_is_a_list_that_makes_one_picture_of_each(checked):
    (found,) = checked(f'{BEGIN}"cat"->"[dog|fox] puppy" | save "o-1.png"').errors
    each = written(found.help).partition(", which")[0]
    mended = checked(f'{BEGIN}"cat"->{each} | save "{{edit}}.png"')
    assert not mended.errors
    targets = {n.inputs["edit"].settings["target"] for n in mended.graphs[0].nodes if "edit" in n.inputs}
    assert targets == {"a dog puppy in a meadow", "a fox puppy in a meadow"}


@pytest.mark.parametrize(
    "text",
    [
        "a cat (black) in a meadow", "a cat (in a hat, by a tree)", "(16:9)", "at 12:30", "(scale 1:10)",
        "a book on C++", "a [sic] cat", "CATS AND DOGS", "a black-and-white cat", "a cat -- asleep", "a cat--asleep",
        "((a) cat) b", "(a (small) cat)", "note: a cat", "cats, dogs & birds", "f(x)", "50% of a cat", "<3", "a+b",
        "(it is 5:30)", "a cat | a dog", "#1 cat", "{a cat}", "a cat (2)", "1:2:3", "a Band AND",
    ],
)  # fmt: skip
def test_plain_prose_stays_words(checked, text):
    assert foreign(text) is None
    assert not checked(f'open "cat.png" caption="{text}" | invert ddim +"a hat" | save "o.png"').diagnostics


@pytest.mark.parametrize(
    ("recipe", "settings"),
    [
        ('open "cat.png" caption="a «(cat:1.2)»" | invert ddim "cat"->"dog" | save "o.png"', {}),
        ('open "cat.png" | invert ddim "a cat"->"a «(dog:1.2)»" | save "o.png"', {}),
        ('open "cat.png" | invert ddim "«(cat:1.2)»"->"dog" | save "o.png"', {}),
        ('open "cat.png" caption="a cat" | invert ddim "«(dog:1.2)»" | save "o.png"', {}),
        ('open "cat.png" caption="a cat" | invert ddim +"a «(hat:1.2)»" | save "o.png"', {}),
        ('open "cat.png" caption="a cat" | invert null_text "cat"->"dog" negative="«(ugly:1.2)»" | save "o.png"', {}),
        ('let new = "a «(dog:1.2)»"\nopen "cat.png" caption="a cat" | invert ddim "cat"->new | save "o.png"', {}),
    ],
)
def test_it_is_told_at_its_place_wherever_words_are_written(checked, recipe, settings):
    found = checked(recipe.replace("«", "").replace("»", ""), **settings)
    assert {item.code for item in found.errors} == {"RT314"}
    start = recipe.index("«")
    assert (found.errors[0].span.start, found.errors[0].span.end) == (start, recipe.index("»") - 1)


@pytest.mark.parametrize("change", ['"((cat))"->"dog"', '-"(cat:1.2)"', '"(cat:1.2)"*2'])
def test_old_words_have_no_weight_to_give(checked, change):
    (found,) = checked(f'open "cat.png" caption="a cat" | invert ddim {change} | save "o.png"').errors
    assert written(found.help) == '"cat"'
    plain = re.sub(r'"\(.*?\)"', '"cat"', change)
    assert not checked(f'open "cat.png" caption="a cat" | invert ddim {plain} | save "o.png"').errors


def test_settings_and_captions_of_the_command_line_are_words_too(checked, folder):
    let = 'let new = "dog"\nopen "cat.png" caption="a cat" | invert ddim "cat"->new | save "o.png"'
    (found,) = checked(let, settings={"new": "((dog))"}).errors
    assert found.code == "RT314"
    report = Report()
    named(str(folder / "cat.png"), 0, "a (cat:1.2)", report)
    assert [(item.code, item.source) for item in report.items] == [("RT314", '--caption "a (cat:1.2)"')]


def test_a_caption_beside_a_picture_is_told_and_the_picture_is_still_done(checked, folder):
    (folder / "cat.txt").write_text("a cat BREAK a (meadow:1.2)")
    found = checked('open "cat.png" | invert ddim "cat"->"dog" | save "o.png"')
    assert not found.errors
    (told,) = found.diagnostics
    assert (told.code, told.severity) == ("RT422", "warning")
    assert told.message == "'BREAK' in the caption 'cat.txt' is read as words"
    # Followed, again and again, it ends with words alone.
    (folder / "cat.txt").write_text(re.findall(r'"([^"]*)"', told.help)[0])
    (told,) = checked('open "cat.png" | invert ddim "cat"->"dog" | save "o.png"').diagnostics
    (folder / "cat.txt").write_text(re.findall(r'"([^"]*)"', told.help)[0])
    assert not checked('open "cat.png" | invert ddim "cat"->"dog" | save "o.png"').diagnostics


@pytest.mark.parametrize(
    "piece", ["a", "(", "[", "{", "(a", "[a", "(a:", "[a:", "a-", "<lora:", "--", "a|", "[a|", " "]
)
def test_a_long_caption_of_anything_is_read_at_once(piece):
    """64 KB: what took the square of that would take minutes."""
    foreign(piece * (65_536 // len(piece)))
