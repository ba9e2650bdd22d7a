"""Every code says what, why and what to type; every 1xx code has an example that a test runs."""

import ast
import re
from pathlib import Path
from string import Formatter

import pytest

import retouch.lang
from retouch.lang.codes import CODES
from retouch.lang.diagnostics import Diagnostic, Report
from retouch.lang.explain import explain
from retouch.lang.parse import parse
from retouch.lang.syntax import Span

TEXT = [code for code, row in CODES.items() if code.startswith("RT1") and row.example]
WITH_EXAMPLE = [code for code, row in CODES.items() if row.example]


def fields(code: str) -> set[str]:
    """The facts that a code's templates need."""
    row = CODES[code]
    return {name for template in (row.message, row.help) for _, name, _, _ in Formatter().parse(template) if name}


def reports(module: Path):
    """Every place of a module that reports a code with facts written out."""
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        match node:
            case ast.Call(func=ast.Attribute(attr="add"), args=[ast.Constant(value=str(code)), _], keywords=given):
                if all(keyword.arg for keyword in given):
                    yield code, {keyword.arg for keyword in given}


@pytest.mark.parametrize("code", TEXT)
def test_the_example_of_a_code_triggers_it_and_its_mend_is_right(code):
    """What `explain` shows is true."""
    row = CODES[code]
    assert code in {found.code for found in parse(row.example)[1]}
    assert not parse(row.mend)[1]


@pytest.mark.parametrize("code", WITH_EXAMPLE)
def test_examples_of_later_phases_and_all_mends_are_at_least_grammatical(code):
    """An example shows one mistake, not two."""
    row = CODES[code]
    assert row.mend
    assert not parse(row.mend)[1]
    assert code in TEXT or not parse(row.example)[1]


def test_bytes_that_are_no_utf8_are_refused_with_the_byte():
    """The one code of the text that no text can trigger."""
    assert [found.message for found in parse(b'open "caf\xe9"')[1]] == [
        "the file is not UTF-8 text: byte 9 is 'é' as in Windows-1252 or Latin-1"
    ]


@pytest.mark.parametrize("module", sorted(Path(retouch.lang.__file__).parent.rglob("*.py")), ids=lambda path: path.stem)
def test_whoever_reports_a_code_gives_all_its_facts(module):
    """No message has a hole."""
    for code, given in reports(module):
        assert fields(code) <= given, f"{code} needs {fields(code) - given}"


def test_a_missing_fact_is_our_mistake_and_says_which():
    """Rather than a hole in a message."""
    with pytest.raises(TypeError, match="RT205 'unknown-option' needs the fact 'stage'"):
        Report().add("RT205", Span(0, 1), name="x")


@pytest.mark.parametrize("code", CODES)
def test_every_code_is_explained(code):
    """A page has the name, the reason, and the example with its mend where there is one."""
    page, row = explain(code.lower()), CODES[code]
    assert row.name in page
    assert row.why.split()[0] in page
    assert not row.example or row.example.split("\n")[0] in page
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", row.name)
    assert not row.message.endswith(".")


def test_names_of_codes_are_unique_and_an_unknown_code_is_said_to_be():
    """A code can be called by its name."""
    assert len({row.name for row in CODES.values()}) == len(CODES)
    with pytest.raises(ValueError, match="no code 'RT999'"):
        explain("RT999")


def test_a_finding_is_rendered_with_its_line_and_a_caret():
    """The form that every message of retouch has."""
    text = 'invert null_text steps=20 | mask diffedit "cat"->"dog" strenght=0.4 | blend latent'
    report = Report()
    report.add("RT205", Span(55, 63), stage="mask diffedit", name="strenght", mend="did you mean 'strength'?")
    assert report.items[0].render(text) == (
        "error[RT205]: 'mask diffedit' has no option 'strenght'\n"
        " --> recipe:1:56\n"
        "  |\n"
        '1 | invert null_text steps=20 | mask diffedit "cat"->"dog" strenght=0.4 | blend latent\n'
        "  |                                                        ^^^^^^^^\n"
        "  = help: did you mean 'strength'?"
    )


@pytest.mark.parametrize(("start", "end"), [(0, 6), (50, 58), (66, 72)])
@pytest.mark.parametrize("width", [10, 40, None])
def test_a_narrow_terminal_is_shown_so_much_of_the_line_as_it_holds(start: int, end: int, width: int | None):
    """A longer line would break, and the carets stand under something else."""
    text = 'invert ddim "cat"->"dgo" steps=2 | mask diffedit strenght=0.4 | blend latent'
    found = Diagnostic("RT205", "no\noption", Span(start, end))
    said = found.render(text, width=width).split("\n")
    assert said[0] == "error[RT205]: no\\noption"  # one line, whatever a file is called
    line, carets = said[3:5]
    assert len(line) <= (max(width, 24) if width else len(text) + 4)
    place = slice(carets.index("^"), carets.rindex("^") + 1)
    assert line[place] == text[start:end]


def test_carets_count_cells_keep_tabs_and_carry_the_label_and_notes():
    """Wide characters are two cells wide; a note may show a place of its own."""
    text = 'a\n\tsave "狗" x\r\n'
    found = Diagnostic("RT110", "no", Span(12, 13), label="here", notes=(("and", Span(9, 10)), ("end", None)))
    assert found.render(text, "cat.retouch").split("\n")[1:] == [
        " --> cat.retouch:2:11",
        "  |",
        '2 | \tsave "狗" x',
        "  | \t          ^ here",
        "  = note: and",
        "  |",
        '2 | \tsave "狗" x',
        "  | \t      ^^",
        "  = note: end",
    ]
    shown = found.as_json(text)
    assert (shown["start"], shown["end"], shown["source"]) == ([2, 11], [2, 12], None)
    assert shown["notes"] == [{"message": "and", "start": [2, 8], "end": [2, 9]}, {"message": "end"}]


def test_a_report_keeps_each_finding_once_in_the_order_of_the_text():
    """Errors of the recipe come before those of a library; warnings forbid nothing."""
    report = Report()
    report.add("RT212", Span(9, 10), name="b")
    report.add("RT206", Span(4, 5), name="a")
    report.add("RT206", Span(4, 5), name="a")
    report.add("RT206", Span(0, 1), name="c", source="swaps.retouch")
    assert [found.span.start for found in report.sorted()] == [4, 9, 0]
    assert [found.code for found in report.errors()] == ["RT206", "RT206"]
    assert report.sorted()[2].render("x").split("\n")[1] == " --> swaps.retouch:1:1"


JOINED = [
    ('let x = "dog"\nphoto | invert ddim "cat"->"a " {} x', True),
    ('let x = "dog"\nphoto | invert ddim "cat"->"a " {} x +"a hat"', True),
    ('photo | invert ddim "cat"->"a " {} "dog"', True),
    ('photo | invert ddim edit=("cat"->"a " {} "dog")', True),
    ('photo | invert ddim "a " {} "dog"', False),
    ('photo | invert ddim edit="cat"->"a " {} "dog"', False),
    ('let y = "a " {} x', False),
    ('open caption="a " {} x', False),
    ('open caption=("a " {} "b")', False),
]


@pytest.mark.parametrize(("text", "adds"), JOINED)
def test_a_plus_between_two_texts_is_no_sum_and_moves_nothing_to_the_end(text, adds):
    """A blank on both sides, or on none; with one before alone it adds words, where a change may stand."""
    for sign in (" + ", "+", "+ "):
        wrong = text.replace(" {} ", sign)
        (found,) = [item for item in parse(wrong)[1] if item.code.startswith("RT")]
        assert (found.code, wrong[found.span.start]) == ("RT124", "+"), wrong
    assert not adds or not parse(text.replace(" {} ", " +"))[1]


def test_the_mend_of_two_texts_is_one_text():
    """With what both say, in their order."""
    wrong = 'photo | invert ddim "cat"->"a big " + "dog"'
    (found,) = parse(wrong)[1]
    one = found.help.removeprefix("write ").partition(";")[0]
    mended = wrong.replace('"a big " + "dog"', one)
    assert parse(mended) == parse('photo | invert ddim "cat"->"a big dog"')
