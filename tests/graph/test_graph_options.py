"""Options: where a value comes from, and what is set once for a turn."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import cache

import pytest

from retouch.check.reading import option_values
from retouch.check.reading.environment import Written
from retouch.check.reading.variants import Choices
from retouch.graph.nodes import FromEngine
from retouch.graph.origins import PRECEDENCE
from retouch.graph.show import order
from retouch.lang.diagnostics import Diagnostic, Report
from retouch.lang.parse import parse
from retouch.lang.syntax import NOWHERE, Value
from retouch.paths import folder
from retouch.plugins import registry
from retouch.plugins.signatures import Option
from tests.graph.fake_model import FakeModel

RECIPE = '{}open "cat.png" | invert null_text "cat"->"dog" {} | save "o.png"'


def found(graph, head="", text="", **given):
    return graph(RECIPE.format(head, text), **given)


def guidance(graph):
    node = graph.node("guide.cfg#1")
    return node.options["guidance"], node.origin["guidance"]


def with_default(name, revision):
    return replace(FakeModel(), defaults={"guidance": 3.0, "steps": 30})


def test_the_nearest_place_wins(graph):
    assert guidance(found(graph)) == (7.5, "signature")
    assert guidance(found(graph, find_model=with_default)) == (3.0, "model")
    assert guidance(found(graph, "defaults guidance=4\n", find_model=with_default)) == (4, "defaults")
    given = {"settings": {"guidance": "5"}}
    assert guidance(found(graph, "defaults guidance=4\n", **given)) == (5, "command line")
    assert guidance(found(graph, "defaults guidance=4\n", "guidance=6", **given)) == (6, "recipe")


def suited(defaults=None, **stages):
    """A model whose card speaks of some stages: null_text={"guidance": 1.5}."""
    card = FakeModel(defaults=defaults or {}, stages={f"invert {name}": own for name, own in stages.items()})
    return {"find_model": lambda name, revision: card}


def test_what_suits_the_model_in_a_stage_holds_for_the_stages_turn(graph):
    model = suited({"guidance": 3.0}, null_text={"guidance": 1.5, "inner": 4})
    whole = found(graph, **model)
    assert guidance(whole) == (1.5, "model for 'invert null_text'")
    node = whole.node("invert.null_text#1")
    assert (node.options["inner"], node.origin["inner"]) == (4, "model for 'invert null_text'")
    assert guidance(found(graph, "defaults guidance=4\n", **model)) == (4, "defaults")
    assert guidance(found(graph, "", "guidance=6", **model)) == (6, "recipe")
    assert guidance(graph('invert ddim "cat"->"dog"', **model)) == (3.0, "model")


def test_what_suits_one_turn_is_not_carried_into_the_next(graph):
    model = suited({"guidance": 3.0}, null_text={"guidance": 1.5})
    whole = graph('invert null_text "cat"->"dog" | sample | invert ddim "dog"->"fox"', **model)
    assert [whole.node(f"guide.cfg#{n}").options["guidance"] for n in (1, 2)] == [1.5, 3.0]


@pytest.mark.parametrize("value", ["strong", True, [1.5], 101, None])
def test_a_card_that_says_what_an_option_does_not_take_is_a_broken_model(checked, value):
    (item,) = checked(RECIPE.format("", ""), **suited(null_text={"guidance": value})).errors
    assert item.code == "RT416"
    assert "guidance" in item.message


def test_steps_reach_every_schedule_of_the_turn(graph):
    whole = graph('open "cat.png" | invert ddim steps=20 | mask diffedit "cat"->"dog" | blend latent | save "o.png"')
    for node in ("invert.ddim#1", "mask.diffedit#1"):
        assert whole.node(node).inputs["schedule"].settings["steps"] == 20
        assert whole.node(node).origin["steps"] == "recipe"


def test_a_turns_option_set_twice_alike_is_fine(graph):
    assert guidance(graph('invert null_text "cat"->"dog" guidance=3 | sample guidance=3')) == (3, "recipe")


def test_set_changes_a_let(graph):
    text = 'let s = 0.6\nopen "cat.png" | mask diffedit "cat"->"dog" strength=s | save mask "m2.png"'
    node = graph(text, settings={"s": "40%"}).node("mask.diffedit#1")
    assert (node.options["strength"], node.origin["strength"]) == (0.4, "command line")


@pytest.mark.parametrize(
    ("setting", "code"),
    [({"stesp": "3"}, "RT222"), ({"steps": "many"}, "RT207"), ({"steps": "0"}, "RT208")],
)
def test_what_the_command_line_sets_is_checked_in_its_own_text(checked, setting, code):
    (item,) = checked(RECIPE.format("", ""), settings=setting).errors
    assert item.code == code
    ((name, value),) = setting.items()
    assert item.source == f"{name}={value}"


@pytest.mark.parametrize(("value", "percent"), [("2", False), ("9.5", False), ("10", True), ("101", False)])
def test_a_percentage_is_proposed_where_no_count_can_be_meant(checked, value, percent):
    """A window `until=2` may be meant as the second step."""
    (item,) = checked(f'invert ddim | attend p2p "cat"->"dog" self={value}').errors
    assert (item.code, item.help == f"write self={value}%") == ("RT208", percent)
    assert percent or item.help.startswith("write a number from 0 to 1; it is a share and no count")


def test_percentages_are_fractions(graph):
    node = graph('mask diffedit "cat"->"dog" strength=40%').node("mask.diffedit#1")
    assert node.options["strength"] == 0.4


def test_a_trailing_underscore_is_pythons_alone(graph):
    node = graph('invert ddim | attend p2p "cat"->"dog" self=0.2').node("attend.p2p#1")
    assert node.options == {"self": 0.2}


def test_turns_have_settings_of_their_own(graph):
    whole = graph('invert ddim "cat"->"dog" steps=10 | sample guidance=2 | invert ddim "dog"->"fox" steps=20')
    assert [whole.node(f"invert.ddim#{n}").inputs["schedule"].settings["steps"] for n in (1, 2)] == [10, 20]
    assert [whole.node(f"guide.cfg#{n}").options["guidance"] for n in (1, 2)] == [2, 7.5]


def test_a_setting_that_loses_to_the_recipe_is_told_where_it_does(graph, checked):
    text = RECIPE.format("", "guidance=2")
    found_ = checked(text, settings={"guidance": "9"})
    (item,) = found_.diagnostics
    assert (item.code, item.severity) == ("RT225", "warning")
    assert "'--set guidance=9'" in item.message
    assert text[item.span.start : item.span.end] == "guidance=2"
    assert guidance(found_.graphs[0]) == (2, "recipe")
    mended = "let guidance = 2\n" + RECIPE.format("", "guidance=guidance")
    assert not checked(mended, settings={"guidance": "9"}).diagnostics
    assert guidance(graph(mended, settings={"guidance": "9"})) == (9, "command line")


def test_a_setting_that_reaches_some_stage_is_told_only_where_it_does_not(checked):
    text = 'invert ddim "cat"->"dog" steps=10 | sample | invert ddim "dog"->"fox"'
    found_ = checked(text, settings={"steps": "9"})
    assert [item.code for item in found_.diagnostics] == ["RT225"]
    nodes = [found_.graphs[0].node(f"invert.ddim#{n}") for n in (1, 2)]
    assert [node.inputs["schedule"].settings["steps"] for node in nodes] == [10, 9]


def test_a_setting_of_what_no_stage_says_is_told_to_nobody(checked):
    assert not checked(RECIPE.format("defaults guidance=4\n", ""), settings={"guidance": "9"}).diagnostics


def test_a_caption_that_loses_to_the_recipe_is_told(checked):
    text = 'open "cat.png" caption="a cat" | invert ddim "cat"->"dog" | save "o.png"'
    (item,) = checked(text, caption="a dog").diagnostics
    assert (item.code, "--caption" in item.message) == ("RT225", True)
    assert not checked(text).diagnostics


def test_the_order_is_one_table_in_the_code_in_the_language_page_and_in_a_plan():
    page = (folder("grammar") / "README.md").read_text("utf-8")
    rows = [f"| {origin.name} | {origin.place} |" for origin in PRECEDENCE]
    assert "\n".join(rows) in page
    assert order().endswith(", ".join(origin.name for origin in PRECEDENCE))


IDLE = [
    ('seed 7\nopen "cat.png" | invert ddim "x"->"y" | save "o.png"', {}, "no stage draws noise"),
    ('open "cat.png" | invert ddim "x"->"y" | save "o.png"', {"seed": "7"}, "no stage draws noise"),
    ('defaults seed=[1, 2]\nopen "cat.png" | invert ddim "x"->"y" | save "o.png"', {}, "no stage draws noise"),
    (
        'defaults guidance=3\nopen "cat.png" | mask diffedit "x"->"y" | save mask "o.png"',
        {},
        "no stage that runs has it",
    ),
    ('open "cat.png" | mask diffedit "x"->"y" | save mask "o.png"', {"guidance": "3"}, "no stage that runs"),
    ('defaults steps=9\nopen "cat.png" | invert ddim "x"->"y" steps=5 | save "o.png"', {}, "each stage that has it"),
]


@pytest.mark.parametrize(("text", "settings", "why"), IDLE)
def test_a_setting_that_nothing_reads_is_told(checked, text, settings, why):
    found = checked(text, settings=settings)
    assert not found.errors
    (told,) = [item for item in found.diagnostics if item.code == "RT227"]
    assert why in told.message


READ = [
    ('seed 7\nopen "cat.png" | invert ddim | mask diffedit "x"->"y" | blend latent | save "o.png"', {}),
    ('seed [1, 2]\nopen "cat.png" | invert ddim "x"->"y" | save "o-{seed}.png"', {}),
    ('defaults steps=9\nopen "cat.png" | invert ddim "x"->"y" | save "o.png"', {}),
    ('defaults steps=9\nopen "cat.png" | invert ddim "x"->"y" | save "o.png"', {"steps": "5"}),
    ('defaults guidance=3\nopen "cat.png" | invert ddim "x"->"y" | save "o.png"', {}),
    (
        'defaults steps=9\nopen "cat.png" | invert ddim "x"->"y" steps=5 | sample | invert ddim "y"->"z"',
        {},
    ),
]


@pytest.mark.parametrize(("text", "settings"), READ)
def test_a_setting_that_something_reads_is_not_told(checked, text, settings):
    assert not [item for item in checked(text, settings=settings).diagnostics if item.code == "RT227"]


def test_a_caption_of_the_command_line_that_no_flow_takes_is_told(checked):
    found = checked('open "cat.png" | invert ddim "x"->"y" | save "o.png"', caption="a cat")
    (told,) = found.diagnostics
    assert (told.code, told.message[:11]) == ("RT227", "'--caption'")


WRONG = [
    '"abc"',
    "7",
    "-1",
    "0.5",
    "50%",
    "true",
    "[]",
    "[[1]]",
    '[1, "a"]',
    "[true]",
    '"5"',
    '["5"]',
    '"50%"',
    '"true"',
]
WRONG += ["2.0", "9.5", str(10**30), f'"7{"0" * 400}"', '"a\\"b"', '"cat"->"dog"', '""']


@pytest.mark.parametrize("wrong", WRONG)
def test_whatever_is_wrong_with_a_value_the_mend_is_one_that_the_option_takes(wrong: str):
    """Of every kind of option of every stage: what a message says to write is read without the same mistake."""

    @cache
    def value(text: str) -> Value:
        (let,) = parse(f"let value = {text}")[0].statements
        return let.value

    def read(option: Option, text: str) -> list[Diagnostic]:
        report = Report()
        option_values.read(option, Written(value(text), NOWHERE, "recipe"), Choices(), report)
        return report.errors()

    untrue = set[str]()
    for option in {o.kind: o for card in registry.load().cards for o in card.options}.values():
        for found in read(option, wrong):
            said = re.sub(r"^write (a number from (\S+) to .*|\w+=)?", r"\2", found.help)
            said = said.removeprefix("choose one of ").partition(", ")[0] if found.code == "RT209" else said
            said = f"[{said}]" if found.code in ("RT208", "RT209") and option.kind.many else said
            if mended := read(option, said):
                untrue.add(f"{option.name}={wrong}: {found.help}: {mended[0].message}")
    assert not untrue, "\n".join(sorted(untrue))


@pytest.mark.parametrize("number", [".5", "5.", "007", "0x10", "1_000", "1e400", "+5", "3px", "1/2", "9" * 50])
@pytest.mark.parametrize("where", ["{}", "[1, {}]"])
def test_a_number_that_the_command_line_misspells_is_told_and_not_taken_for_another(checked, number, where):
    for name in ("seed", "guidance", "steps"):
        (item,) = checked(RECIPE.format("", ""), settings={name: where.format(number)}).errors
        assert item.code == "RT116"
        said = item.source[item.span.start : item.span.end]
        assert said == number


def test_changes_side_by_side_from_the_command_line_are_an_edit(graph):
    text = 'let c = "x"->"y"\nopen "cat.png" caption="a cat in a field" | invert ddim edit=c | save "o.png"'
    for said in ('"cat"->"dog" "field"->"snow"', '("cat"->"dog" "field"->"snow")'):
        whole = graph(text, settings={"c": said})
        edges = [edge for node in whole.nodes for _, edge in node.edges() if isinstance(edge, FromEngine)]
        assert "a dog in a snow" in {edge.settings.get("target") for edge in edges}


def test_zero_is_one_number_whatever_its_sign(graph):
    node = graph('invert ddim | attend p2p "cat"->"dog" self=-0.0').node("attend.p2p#1")
    assert str(node.options["self"]) == "0.0"


def test_a_digit_of_another_script_is_told_by_what_it_says(checked):
    (item,) = checked('invert ddim "cat"->"dog" steps=３').errors
    assert (item.code, item.help) == ("RT118", "write 3")


@pytest.mark.parametrize("value", ["7", '"half"', "true", "[]"])
@pytest.mark.parametrize("where", ["defaults", "command line", "card"])
def test_a_window_that_nothing_can_be_is_told_wherever_it_is_said(checked, value, where):
    """What reckons with the bounds of a control goes on with its own."""
    text = 'open "cat.png" caption="a cat" | invert ddim "cat"->"dog" | attend p2p | save "o.png"'
    if where == "card":
        (item,) = checked(text, find_model=lambda *_: FakeModel(defaults={"self": json.loads(value)})).errors
        assert item.code == "RT416"
        return
    said = {"settings": {"self": value}} if where == "command line" else {}
    (item,) = checked(text if said else f"defaults self={value}\n{text}", **said).errors
    assert item.code == ("RT208" if value == "7" else "RT207")
