"""Advice can be followed: what a message says to type comes to what was meant, and no message comes after it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from retouch.check.check import check
from retouch.lang.codes import CODES
from retouch.lang.diagnostics import Diagnostic
from retouch.lang.parse import parse
from retouch.lang.words import FAMILIES, OTHERS
from tests.e2e.sessions import INSTALLED
from tests.lang.stages import world
from tests.lang.test_lang_shown import USUAL, found


def typed(text: str, item: Diagnostic) -> str:
    """The recipe with what the message says to type in the marked place."""
    said = re.search(r"(?:quotes:|option:|choose one of|type|write(?! it)) (.+?)(?:, \S.*|; .*)?$", item.help)
    start, end = item.span.start, item.span.end
    if meant := re.search(r"did you mean '(.+)'\?", item.help):
        old, new = text[start:end], meant[1]
        new = f'"{new}"' if old[:1] == '"' and "{" not in old else new
        return text[:start] + (re.sub(r"\{\w+\}", f"{{{new}}}", old) if "{" in old else new) + text[end:]
    assert said, item.help
    new = said[1]
    name = new.partition("=")[0]
    if re.fullmatch(r"\w+=.+", new) and text[:start].endswith(f"{name}="):
        start -= len(name) + 1
    return text[:start] + new + text[end:]


def around(pattern: str) -> Callable[[str, Diagnostic], str]:
    """What is to be typed takes the place of the whole expression, of which the mark is a part."""

    def mend(text: str, item: Diagnostic) -> str:
        (whole,) = re.findall(pattern, text)
        return text.replace(whole, item.help.removeprefix("write: ").removeprefix("write "))

    return mend


def deleted(text: str, item: Diagnostic) -> str:
    """The marked place is taken out, or with "delete the '|'" what joins it."""
    return (text[: item.span.start] + text[item.span.end :]).rstrip(" |") + "\n"


def line_up(text: str, item: Diagnostic) -> str:
    """A line is moved: to the top, or above the one that is marked."""
    lines = text.split("\n")
    number = re.search(r"move line (\d+) up", item.help)
    return "\n".join([lines.pop(int(number[1]) - 1 if number else -1), *lines])


# What a message says to type, letter by letter: who reads it needs no thought.
MECHANICAL: dict[str, Callable[[str, Diagnostic], str]] = {
    **dict.fromkeys(("RT101", "RT102", "RT110", "RT116", "RT117"), typed),
    **dict.fromkeys(("RT201", "RT202", "RT205", "RT215", "RT217", "RT222", "RT402", "RT406"), typed),
    **dict.fromkeys(("RT204", "RT207", "RT208", "RT209"), typed),
    "RT247": lambda text, item: text.replace('"$name-2.png"', item.help.removeprefix("write ")),
    "RT203": lambda text, item: text.replace("attend", "attend " + re.findall(r"choose one: (\w+)", item.help)[0]),
    "RT104": lambda text, item: text[: item.span.start] + "| " + text[item.span.start :],
    "RT105": deleted,
    "RT106": lambda text, item: (
        text[: item.span.start] + re.findall(r"write (\S+) there", item.help)[0] + text[item.span.end :]
    ),
    "RT107": around(r'"cat"->'),
    "RT109": around(r"steps:50"),
    "RT111": lambda text, item: text.replace("3 5", "3, 5"),
    "RT112": lambda text, item: text + re.findall(r"a '(.)'", item.help)[0],
    "RT115": lambda text, item: text.replace("strength = ", item.help.removeprefix("write: ").rstrip("…")),
    "RT118": deleted,
    "RT119": lambda text, item: text[: item.span.start] + "| " + text[item.span.start :],
    "RT121": line_up,
    "RT206": lambda text, item: text.replace("steps=20 ", ""),
    "RT213": line_up,
    "RT124": lambda text, item: text.replace('"a big " + "dog"', re.findall(r'write (".*?")', item.help)[0]),
    "RT226": lambda text, item: text.replace("left=80% right=20%", item.help.removeprefix("write ")),
    "RT227": lambda text, item: text.replace(" clamp=2", ""),
    "RT228": typed,
    "RT246": lambda text, item: text.replace("*2", "*2 | " + re.findall("add '(.+?)'", item.help)[0]),
    "RT314": around(r'"\(dog:1.3\)"'),
    "RT323": lambda text, item: text.replace("steps=20", re.findall(r"steps=\d+", item.help)[0]),
    "RT317": lambda text, item: text.replace("steps=1000", re.findall(r"steps=\d+", item.help)[0]),
    "RT320": lambda text, item: text.replace("invert rf_solver", re.findall(r"'(.+?)'", item.help)[0]),
    "RT321": lambda text, item: text.replace("guide distilled", re.findall(r"'(.+?)'", item.help)[0]),
    "RT326": lambda text, item: text.replace("invert null_text", re.findall(r"use '(.+?)'", item.help)[0]),
    "RT327": lambda text, item: text.replace(' "cat"->"dog"', ""),
    "RT328": typed,
    "RT329": lambda text, item: text.replace('"cat"', f'"{re.findall(r"from ([0-9]+)", item.help)[0]}"'),
    "RT325": lambda text, item: text.replace("scale=64", re.findall(r"scale=\d+", item.help)[0]),
    "RT425": typed,
    "RT312": lambda text, item: text.replace("strength=5%", re.findall(r"strength=\d+%", item.help)[0]),
    "RT315": lambda text, item: text.replace("90%", re.findall(r"\d+%", item.help)[0]),
    "RT404": lambda text, item: text.replace('"wide.png"', f'"wide.png" {re.findall(r"size=.+", item.help)[0]}'),
    "RT417": lambda text, item: text.replace(
        '"labels.png"', f'"labels.png" {re.findall(r"label=[0-9]+", item.help)[0]}'
    ),
}

CAT = 'open "cat.png"'
# What a message says in words: a part of it, and the recipe of somebody who does that (None: the example's mend).
IN_WORDS: dict[str, tuple[str, str | None]] = {
    "RT100": ("a line is a flow such as", None),
    "RT103": ("write a path with '/'", None),
    "RT108": ("write steps=…", None),
    "RT113": ("name=7.5", None),
    "RT114": ("let name = value", None),
    "RT120": ("family, method, what it works on, options", None),
    "RT122": ("split it", None),
    "RT130": ("write swap(…, how=…)", None),
    "RT210": ("choose another name", None),
    "RT211": ("such as 'area'", 'area = open "cat.png"\narea | mask diffedit "cat"->"dog" | save mask "o.png"'),
    "RT212": ("use it, or delete the line", "invert ddim"),
    "RT214": ("swap(a, b)", None),
    "RT216": ("no loops", None),
    "RT218": ("delete one of these 'use' lines", "invert ddim"),
    "RT219": (
        'use "more.retouch" as other',
        'use "swaps.retouch"\nuse "more.retouch" as other\ninvert ddim | other.swap("a", "b")',
    ),
    "RT220": ("make it a parameter", None),
    "RT221": ("go on with '|'", None),
    "RT223": ("options: guidance", None),
    "RT240": ("twice through: write twice through (…)", None),
    "RT241": ("write twice through (invert ddim | …)", None),
    "RT242": ("write 'save image' behind the stage that works on this flow", None),
    "RT243": ('(invert ddim "cat"->"dog")', None),
    "RT224": ("let it begin a line", f'invert ddim "cat"->"dog"\n{CAT} | invert ddim | save "o.png"'),
    "RT301": ("add a 'mask' stage before it", None),
    "RT302": (
        "combine them (mask union other=…)",
        'one = mask diffedit "a"->"b"\ninvert ddim "a"->"b" | mask attention | mask union other=one | blend latent',
    ),
    "RT303": ("use one model", None),
    "RT304": ("it holds Image", None),
    "RT305": ("edit=…", 'invert ddim "cat"->"dog" | attend p2p edit="meadow"->"beach"'),
    "RT306": ("words of the caption", None),
    "RT307": ('"cat"->"dog"', None),
    "RT308": ('open … caption="a cat in a meadow"', None),
    "RT309": ("the same kind of value", None),
    "RT310": ("choose one", 'invert ddim | attend p2p "cat"->"dog"'),
    "RT311": ("one change of both", None),
    "RT322": ("such as 'invert ddim'", None),
    "RT313": ("write what it is to become", None),
    "RT316": ("name words as they stand there", None),
    "RT319": ("move it before 'sample walk'", None),
    "RT318": ("write what is to be different", None),
    "RT401": ("holds files ending in .png", None),
    "RT403": ("--allow DIR", None),
    "RT405": ("", 'open "photos/*.png" | invert ddim "cat"->"dog" | save "out/dog-{name}.png"'),
    "RT407": ("save it elsewhere", None),
    "RT408": ('begin with open "…"', None),
    "RT410": ("write 2 values", None),
    "RT411": ('a | save "out.png"', 'a = open "cat.png" | invert ddim "cat"->"dog"\na | save "out.png"'),
    "RT412": ("there are: storybook", None),
    "RT413": ("download", None),
    "RT415": ("save it elsewhere", None),
    "RT416": ("see 'retouch models'", None),
    "RT440": ("save elsewhere", None),
    "RT426": ("end the file in .jpg", None),
    "RT427": ("save it elsewhere", None),
    "RT504": ("save it anew", None),
    "RT580": ("write 'blend pixel' behind it", None),
    "RT562": ("write that line here", None),
}


def meaning(text: str) -> object:
    """What a recipe says, wherever its words stand."""
    tree, wrong = parse(text)
    assert not wrong, [item.message for item in wrong]
    return tree


def test_every_message_with_an_example_is_followed_here():
    """No advice is left untried."""
    with_example = {code for code, row in CODES.items() if row.example}
    assert not MECHANICAL.keys() & IN_WORDS.keys()
    assert MECHANICAL.keys() | IN_WORDS.keys() == with_example == CODES.keys() - USUAL.keys()


@pytest.mark.parametrize("code", MECHANICAL)
def test_what_it_says_to_type_comes_to_what_was_meant(code):
    """Judged by the tree: passing the check is not enough."""
    row = CODES[code]
    (item, *_) = found(code, row.example)
    mended = MECHANICAL[code](row.example, item)
    assert meaning(mended) == meaning(row.mend)
    assert not [each for each in check(mended, world()).errors if not code.startswith("RT1")]


@pytest.mark.parametrize("code", IN_WORDS)
def test_what_it_says_in_words_can_be_done_and_no_message_follows(code):
    """By hand, as whoever reads it would."""
    row, (said, done) = CODES[code], IN_WORDS[code]
    (item, *_) = found(code, row.example)
    assert said in item.help
    text = row.mend if done is None else done
    assert not parse(text)[1]
    assert code < "RT200" or not [(each.code, each.message) for each in check(text, world()).errors]


MADE = 'def swap(change) = invert ddim | attend p2p edit=change\nopen "cat.png" | swap("cat"->"dog") | save "o.png"'
# A slip in a right recipe, by which what is said to type must bring the recipe back.
SLIPS = [
    (MADE, "edit=change", "change"),
    (MADE, "edit=change", "edit=chnage"),
    ('let file = "cat.png"\nopen path=file | invert ddim | save "o.png"', "path=file", "file"),
    ('let pets = "cat"->"dog"\ninvert ddim edit=pets', "edit=pets", "pets"),
    ("invert ddim | sample guidance=7.5", "guidance=7.5", "guidance=strong"),
    ("let strong = 9\ninvert ddim | sample guidance=strong", "guidance=strong", "guidance=storng"),
    ('open "pictures/cat.png"', '"pictures/cat.png"', "pictures/cat.png"),
    ('open "my pictures/cat.png"', '"my pictures/cat.png"', "my pictures/cat.png"),
    ('open "my cat.png" | invert ddim', '"my cat.png"', "my cat.png"),
    ('open "pictures/my cat.png" caption="a cat"', '"pictures/my cat.png"', "pictures/my cat.png"),
    ('open path="my pictures/our cat.png"', '"my pictures/our cat.png"', "my pictures/our cat.png"),
    ('open "cat.png" | mask file "my masks/a b.png" label=1', '"my masks/a b.png"', "my masks/a b.png"),
    ('invert ddim | sample | save "all of it/o u t.png"', '"all of it/o u t.png"', "all of it/o u t.png"),
    ('invert ddim convention="target"', '"target"', "target"),
    ("invert ddim steps=50", "steps=50", 'steps="50"'),
    ('mask diffedit "a"->"b" strength=40%', "40%", "40"),
    ('open "cat.png" | invert ddim', '"cat.png"', '“cat.png"'),
    ('open "cat.png" caption="a cat" | invert ddim', '"a cat"', "'a cat\""),
    ('open "cat.png" | invert ddim "cat"->"black dog"', '"black dog"', '"black dog»'),
    ("invert ddim | sample", "invert", "INVERT"),
    ("invert ddim | sample", "ddim", "DDIM"),
    ("invert ddim steps=20", "steps", "STEPS"),
    ("invert ddim steps=1", "steps=1", "steps=0.3"),
    ('invert ddim convention="target"', '"target"', "3"),
    ("seed 7\ninvert ddim", "seed", "Sed"),
    ("defaults steps=9\ninvert ddim", "defaults", "defalts"),
]


def test_families_that_come_with_retouch_are_known_where_a_pipe_is_lost():
    assert {*FAMILIES, *OTHERS} == {card.family for card in INSTALLED.cards} | {"model"}
    for name in sorted({*FAMILIES, *OTHERS} - {"open"}):
        for wrong in (f'invert ddim "cat"->"dog" {name} x size=3 | sample', f"invert ddim steps=3 {name} x=1"):
            assert parse(wrong)[1][0].message == f"a '|' is missing before '{name}'"
        assert not any(
            "missing before" in each.message for each in parse(f'let {name} = "a"\ninvert ddim {name} x')[1]
        ) or (name in FAMILIES)


@pytest.mark.parametrize("of", ["invert ddim", "mask box", "upscale lanczos"])
def test_the_pipe_of_other_languages_is_one_mistake_and_all_behind_it_is_read(of):
    (found,) = parse(f'open "cat.png" |> {of} size=3 | sample')[1]
    assert (found.code, found.help) == ("RT118", "stages are joined by '|'")


@pytest.mark.parametrize(("right", "part", "slip"), SLIPS, ids=lambda each: each[:30])
def test_a_slip_is_mended_to_what_it_was_and_a_name_stays_a_name(right, part, slip):
    """Quoting `change` would turn a parameter into the word "change"."""
    wrong = right.replace(part, slip)
    item = next(each for each in check(wrong, world()).diagnostics if each.severity == "error")
    assert meaning(typed(wrong, item)) == meaning(right)


@pytest.mark.parametrize("path", ["my pictures/cat.png", "pictures/our cat.png", "a b c/d e.png", "my cat.png"])
@pytest.mark.parametrize("around", ["open {}", 'open {} caption="a cat" | invert ddim', "x = mask file {}"])
def test_a_path_with_a_blank_gets_one_message_whose_mend_is_the_whole_path(path, around):
    (item,) = [each for each in check(around.format(path), world()).errors if each.span.start < len(around) + len(path)]
    assert (item.code, f'"{path}"' in item.help) == ("RT110", True)


@pytest.mark.parametrize("behind", ["", " tolerance=0.3", " | invert ddim"])
def test_a_colour_without_quotes_is_no_comment_that_nobody_sees(behind):
    (found,) = parse(f"mask color #e08030{behind}")[1]
    assert (found.code, '"#e08030"' in found.help) == ("RT110", True)


@pytest.mark.parametrize(
    "remark", [' "#e08030" #ff0000', " left=10% #ff0000", " #ff0000 is red", " # ff0000", "  #ff00"]
)
def test_other_remarks_stay_remarks(remark):
    assert not parse(f"mask box{remark}")[1]
