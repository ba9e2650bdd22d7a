"""Any text gives a tree or words about it: no crash, no place outside the text, no names of terminals."""

import os
import re
import sys
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retouch.lang.codes import CODES
from retouch.lang.parse import parse
from retouch.lang.snippet import normal
from tests.lang.corpus import RECIPES

SOAK = int(os.environ.get("RETOUCH_SOAK", "500"))  # texts, over the two kinds of them
some = settings(max_examples=SOAK // 2, deadline=None, suppress_health_check=list(HealthCheck))
PIECES = [
    *"abx_ \t\n|\"->=[](),*+%:.#1290$;'“é猫\\/",
    *("invert ", "ddim", " | ", '"cat"', "->", "let ", "def ", "use ", "mask diffedit ", "steps=5", "\n  | ", "first("),
    *("\r", "\x00", "\u202e", "\ufeff"),
]
TERMINAL = re.compile(r"Token|\b_?[A-Z]{4,}\b")


def check(source: str | bytes) -> None:
    """What must hold for whatever is said about a text."""
    _, found = parse(source)
    text = normal(source) if isinstance(source, str) else ""
    for item in found:
        assert item.code in CODES
        words = re.sub(r"'.*?'|\".*\"|U[+]\w+|UTF-8", "", f"{item.message} {item.help}", flags=re.DOTALL)
        assert not TERMINAL.search(words), item
        assert 0 <= item.span.start <= item.span.end
        if isinstance(source, str):
            assert item.span.end <= len(text) + 1
            item.render(source)
            item.as_json(source)


@some
@given(
    st.one_of(st.lists(st.sampled_from(PIECES), max_size=60).map("".join), st.text(max_size=60), st.binary(max_size=40))
)
def test_any_text_gives_a_tree_or_diagnostics_inside_the_text(source):
    """Whatever is typed, the answer is in words and points at it."""
    check(source)


@some
@given(st.sampled_from(sorted(RECIPES)), st.data())
def test_any_text_close_to_a_recipe_gives_a_tree_or_diagnostics(name, data):
    """The same close to right recipes, where people are."""
    chars = list(RECIPES[name])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(chars) - 1))
        chars[at] = data.draw(st.sampled_from(["", *'"|,(] =-x#5:$']))
    check("".join(chars))


@some
@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
def test_what_the_strict_grammar_refuses_is_never_without_an_error(source):
    """A tree without diagnostics is a tree of the strict grammar."""
    from lark.exceptions import UnexpectedInput

    from retouch.lang import tables

    if not parse(source)[1]:
        try:
            tables.strict().parse(normal(source) + "\n")
        except UnexpectedInput as refused:
            raise AssertionError(source) from refused


def test_a_quote_is_never_tried_behind_a_backslash():
    """Found by soaking: there it would not be one."""
    check('pen "cat.png" caption="a \\"|a"\\" \\u00e9 \\\\ tab\\t" | invert ddim "cat"->"dog"\n')


HOSTILE = {
    "open brackets": "(" * 10_000,
    "nested lists": "let y = [" + ", ".join(["[[[[1]]]]"] * 900) + "]\n",
    "quotes": '"' * 9_999,
    "minus signs": "-" * 10_000,
    "hyphens": "a-" * 5_000,
    "pipes": "|" * 10_000,
    "newlines": "\n" * 10_000,
    "blank lines before a pipe": "x" + " \n" * 5_000 + "| y",
    "path": "a/" * 5_000,
    "one text": '"' + "x" * 10_000,
    "digits": "x y z=" + "9" * 10_000,
    "backslashes": '"' + "\\" * 10_000,
    "curly quotes": "“" * 3_300,
    "one flow": "x" + " | invert a" * 900 + "\n",
    "one wrong flow": "x" + " | invert a b" * 800 + "\n",
    "commas lost": "x y z=[" + "1 " * 5_000,
    "odd quotes": 'open "cat.png | invert ddim "cat"->"dog"\n' * 240,
    "an error in each line": 'open "cat.png" | invert ddim steps: 5 | sample guidance=7,5 |\n' * 160,
    "defaults of a def": "def f(" + "a=1," * 2_500,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_ten_kilobytes_of_anything_are_answered_soon(name):
    """No shape of text takes more than a moment: a quarter of a second, of a processor that others want as well."""
    begin = time.process_time()
    check(HOSTILE[name])
    assert time.process_time() - begin < 5


def calls(source: str) -> int:
    """How many functions, Python's and C's, are called to read a text: the same on every machine."""
    count = 0

    def note(frame, event, argument) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        parse(source)
    finally:
        sys.setprofile(None)
    return count


def seconds(source: str) -> float:
    """The best processor time of a few."""
    times = []
    for _ in range(3):
        begin = time.process_time()
        parse(source)
        times.append(time.process_time() - begin)
    return min(times)


@pytest.mark.parametrize(
    "line", [RECIPES["quality"], "invert ddim steps=5 \n# x\n", "let x = [[1, 2], [3]]\n", "let x = [\n"]
)
@pytest.mark.thorough
def test_time_grows_with_the_length_of_the_text(line):
    """Eight times the text takes eight times the calls, and nowhere near sixty-four times the time inside them."""
    few = max(20, 1_500 // len(line))
    assert calls(line * few * 8) < 9 * calls(line * few)
    assert seconds(line * few * 8) < 40 * max(seconds(line * few), 0.005)


def test_ten_megabytes_are_refused_at_once():
    """A limit is checked before any work."""
    begin = time.process_time()
    tree, found = parse("x" * 10_000_000)
    assert time.process_time() - begin < 1
    assert [item.code for item in found] == ["RT122"]
    assert not tree.statements


def test_brackets_are_refused_beyond_a_depth():
    """Nesting has a limit too, and the place is shown."""
    found = parse("let x = " + "[" * 65 + "]" * 65)[1]
    assert [(item.code, item.span.start) for item in found] == [("RT122", 8 + 64)]
    assert not parse("let x = " + "[" * 64 + "]" * 64)[1]
