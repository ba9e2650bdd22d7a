"""Costs: the little language, and plans that add up."""

from __future__ import annotations

import pytest

from retouch.graph.document import as_data
from retouch.graph.plan import plan
from retouch.graph.show import as_text
from retouch.plugins import cost
from retouch.plugins.signatures import Option, Port, StageCard
from retouch.plugins.signatures.signature import Kind
from tests.graph.fake_model import FakeModel


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3), ("2 * maps", 20), ("maps // 3", 3), ("-maps + 0.5", -9.5), ("ceil(maps / 3)", 4), ("int(2.7)", 2),
        ("min(maps, 3) + max(1, 2)", 5), ("1 if maps > 3 else 2", 1), ("not maps", False), ("maps and not gone", True),
        ("gone or 0", False), ("mode == 'a'", True), ("(maps, 2 * maps)", (10, 20)), ("maps != 10", False),
    ],
)  # fmt: skip
def test_expressions(text, value):
    assert cost.evaluate(text, {"maps": 10, "mode": "a"}) == value


@pytest.mark.parametrize(
    "text",
    [
        "maps.real",
        "maps[0]",
        "open('x')",
        "2 ** 99",
        "[1]",
        "lambda: 1",
        "x := 1",
        "(1, 2, 3)",
        "1 < 2 < 3",
        "1 +",
        "f(k=1)",
        "min(*x)",
    ],
)
def test_anything_else_is_refused(text):
    with pytest.raises(cost.BadExpression):
        cost.names(text)


def test_a_card_may_speak_of_its_options_its_ports_and_known_facts():
    card = StageCard(
        "a", "b", "m", "f", "m.py", 1, (Port("blend", "Blend", many=True),), (Option("maps", "maps", Kind("int"), 1),)
    )
    from dataclasses import replace

    assert cost.misstated(replace(card, rows="maps * steps * blend * evaluations"), cost.FACTS) is None
    assert "'speed'" in (cost.misstated(replace(card, rows="speed"), cost.FACTS) or "")
    assert "'speed'" in (cost.misstated(replace(card, facts={"x": "speed"}), cost.FACTS) or "")
    assert cost.misstated(replace(card, rows="speed"), {"speed"}) is None


def rows(graph, text):
    planned = plan(graph(text))
    return {planned.graph.node(id_).card.name: found for id_, found in planned.rows.items() if found[1]}, planned.total


@pytest.mark.parametrize(
    ("text", "sample"),
    [
        ('invert ddim "a"->"b" steps=10', 20),
        ('invert ddim "a"->"b" steps=10 | sample guidance=1', 10),
        ('invert ddim "a"->"b" steps=10 | attend p2p', 40),
        ('invert ddim "a"->"b" steps=10 | blend local', 40),
        ('invert ddim "a"->"b" steps=10 | mask diffedit | blend latent', 40),
        ('invert ddim "a"->"b" steps=10 pinned=true | mask diffedit | blend latent', 20),
        ('invert ddim "a"->"b" steps=10 | guide pag', 30),
        ('invert ddim "a"->"b" steps=10 strength=0.5', 10),
        ('invert edict "a"->"b" steps=10', 40),
    ],
)
def test_rows_of_sampling_follow_from_what_feeds_it(graph, text, sample):
    found, _ = rows(graph, text)
    assert found["sample ddim"] == (sample, sample)


def test_a_range_adds_up_as_least_and_most(graph):
    found, total = rows(graph, 'invert null_text "a"->"b" steps=10 inner=5 | mask diffedit maps=3 | blend latent')
    assert found["invert null_text"] == (40, 80)
    assert total == (40 + 6 + 40, 80 + 6 + 40)


def test_a_plan_shows_stages_prompts_reasons_and_rows(graph):
    text = as_text(plan(graph('open "cat.png" caption="a cat" | invert ddim "cat"->"dog" steps=10')))
    assert "30 rows" in text
    assert "steps=10" in text
    assert '"a cat" -> "a dog"' in text
    assert "put in: a flow without a name is a result" in text


def test_a_plan_shows_where_a_value_comes_from(graph):
    card = FakeModel(defaults={"steps": 20}, stages={"invert null_text": {"guidance": 1.5, "inner": 4}})
    whole = plan(graph('open "cat.png" | invert null_text "cat"->"dog"', find_model=lambda name, revision: card))
    text = as_text(whole)
    assert "inner=4 (model for 'invert null_text')" in text
    assert "guidance=1.5 (model for 'invert null_text')" in text
    assert "steps=20 (model)" in text
    options = {stage["stage"]: stage["options"] for stage in as_data(whole)["stages"]}
    assert options["invert null_text"]["steps"] == {"value": 20, "from": "model"}
    assert options["guide cfg"]["guidance"]["from"] == "model for 'invert null_text'"


def test_a_plan_is_data_too(graph):
    data = as_data(plan(graph('open "cat.png" | invert ddim "cat"->"dog" steps=10')))
    assert data["rows"] == [30, 30]
    stages = {stage["id"]: stage for stage in data["stages"]}
    assert stages["sample.ddim#1"]["put_in"] == "'save image' needs the edited image"
    assert stages["invert.ddim#1"]["options"]["strength"] == {"value": 1.0, "from": "signature"}
