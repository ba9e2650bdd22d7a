"""Flows in brackets: what they may hold, what names, lists and lets come to in them, what they cost, how they show."""

from __future__ import annotations

from dataclasses import replace

import pytest

from retouch.check.check import check
from retouch.graph.drawing.chart import chart
from retouch.graph.keys import node_keys
from retouch.graph.nodes import GIVEN, Graph
from retouch.graph.plan import plan
from retouch.graph.show import as_text
from tests.graph.verify import verify
from tests.lang.stages import world

OPEN = 'open "cat.png" caption="a cat" | '
SAVE = ' | save "o.png"'
EDIT = 'invert ddim "cat"->"dog" | mask diffedit | blend latent'


def graphs(text: str) -> tuple[Graph, ...]:
    """The graphs of a recipe that is right."""
    checked = check(text, world())
    assert not checked.diagnostics, [each.render(text) for each in checked.diagnostics]
    for graph in checked.graphs:
        verify(graph)
    return checked.graphs


def inner(text: str) -> Graph:
    """The one flow in brackets of a recipe."""
    (graph,) = graphs(text)
    (turn,) = (turn for node in graph.nodes for turn in node.turns())
    return turn


def stages(turn: Graph) -> list[str]:
    """What a flow does, without what was put in."""
    return [node.card.name for node in turn.nodes if not node.put_in and node.card.family != GIVEN]


def codes(text: str) -> list[str]:
    """What is wrong with a recipe."""
    return [each.code for each in check(text, world()).diagnostics]


WAYS_TO_SAY_IT = {
    "brackets": f"{OPEN}twice ({EDIT})",
    "over lines": OPEN + "twice (\n  " + EDIT.replace(" | ", "\n  | ") + "\n)",
    "method": f"{OPEN}twice through ({EDIT})",
    "option": f"{OPEN}twice turn=({EDIT})",
    "named flow": f"edit = {EDIT}\n{OPEN}twice (edit)",
    "named flow as an option": f"edit = {EDIT}\n{OPEN}twice turn=edit",
    "let": f"let edit = ({EDIT})\n{OPEN}twice (edit)",
    "let as an option": f"let edit = ({EDIT})\n{OPEN}twice turn=edit",
    "def": f"def edit() = {EDIT}\n{OPEN}twice (edit())",
    "def as an option": f"def edit() = {EDIT}\n{OPEN}twice turn=edit()",
    "let of a def": f"def edit() = {EDIT}\nlet kept = (edit())\n{OPEN}twice (kept)",
    "parameter": f"def again(what) = twice turn=what\n{OPEN}again(({EDIT}))",
    "parts": f'def go(a, b) = invert ddim a->b\n{OPEN}twice (go("cat", "dog") | mask diffedit | blend latent)',
    "list of one": f"{OPEN}twice [({EDIT})]",
}


@pytest.mark.parametrize("way", WAYS_TO_SAY_IT)
def test_a_flow_is_the_same_however_it_is_said(way: str) -> None:
    """Its key says so: all that it makes of a picture is the same."""

    def keys(said: str) -> list[str]:
        (graph,) = graphs(WAYS_TO_SAY_IT[said] + SAVE)
        return [key.partition("save")[0] for key in list(node_keys(replace(graph, nodes=graph.nodes[:-1])).values())]

    assert stages(inner(WAYS_TO_SAY_IT[way] + SAVE)) == ["invert ddim", "mask diffedit", "blend latent"]
    assert len(keys(way)) == len(keys("brackets")) == 2


def test_options_behind_a_name_in_brackets_are_the_stages() -> None:
    (graph,) = graphs(f"edit = {EDIT}\n{OPEN}twice (edit) times=3{SAVE}")
    assert [node.options["times"] for node in graph.nodes if node.card.family == "twice"] == [3]


def test_the_same_flow_is_one_piece_of_work_and_another_is_another() -> None:
    one = f'photo = {OPEN[:-3]}\na = photo | twice ({EDIT})\nb = photo | twice ({EDIT})\n[a, b] | sheet "o.png"'
    assert sum(node.card.family == "twice" for node in graphs(one)[0].nodes) == 1
    two = one.replace(f"b = photo | twice ({EDIT})", f"b = photo | twice ({EDIT.replace('ddim', 'edict')})")
    assert sum(node.card.family == "twice" for node in graphs(two)[0].nodes) == 2


def test_lists_inside_and_of_flows_multiply() -> None:
    walks = '[(invert ddim "cat"->["dog", "fox"]), (invert edict "cat"->"dog")]'
    (graph,) = graphs(f'{OPEN}twice {walks} times=[2, 3] | sheet "o.png"')
    assert sum(node.card.family == "twice" for node in graph.nodes) == 6
    walks = 'let walk = [(invert ddim "cat"->"dog"), (invert edict "cat"->"dog")]\n'
    (graph,) = graphs(f'{walks}{OPEN}twice (walk) | save "{{walk}}.png"')
    files = [node.options["path"].rpartition("/")[2] for node in graph.nodes if node.card.family == "save"]
    assert files == ["invert-ddim-cat-dog.png", "invert-edict-cat-dog.png"]


def test_a_named_flow_inside_works_on_the_picture_that_is_given() -> None:
    turn = inner(f'area = mask box right=0.5\n{OPEN}twice (invert ddim "cat"->"dog" | blend latent mask=area){SAVE}')
    assert "mask box" in stages(turn)
    assert not {"open", "first"} & {node.card.family for node in turn.nodes}


def test_a_stage_with_a_mask_gives_its_flow_that_mask() -> None:
    flow = 'twice (invert ddim "cat"->"dog" | blend latent)'
    turn = inner(f"{OPEN}mask box right=0.5 | {flow}{SAVE}")
    (blend,) = (node for node in turn.nodes if node.card.name == "blend latent")
    assert "given mask" in [turn.node(id_).card.name for id_ in blend.feeds()]
    assert codes(OPEN + flow + SAVE) == ["RT301"]


def test_the_caption_goes_in_and_the_target_comes_out() -> None:
    text = f'{OPEN}twice (invert ddim "cat"->"dog") | invert edict "dog"->"fox"{SAVE}'
    (graph,) = graphs(text)
    assert [node.turn for node in graph.nodes if node.card.family in ("twice", "invert")] == [1, 2]
    assert codes(text.replace('"dog"->"fox"', '"cat"->"fox"')) == ["RT306"]
    assert codes(text.replace('"cat"->"dog"', '"cow"->"dog"'))[0] == "RT306"


def test_flows_nest() -> None:
    (graph,) = graphs(f'{OPEN}twice (twice (invert ddim "cat"->"dog") times=3 | invert edict "dog"->"fox"){SAVE}')
    (outer,) = (node for node in graph.nodes if node.card.family == "twice")
    names = [node.card.name for node in outer.everything() if node.card.family in ("twice", "invert")]
    assert names == ["invert ddim", "twice through", "invert edict", "twice through"]
    assert len({node.id for node in graph.everything()}) == len(list(graph.everything()))


WRONG = {
    "twice": "RT241",
    "twice ()": "RT241",
    'twice "cat"': "RT207",
    'twice ("cat"->"dog")': "RT207",
    "twice (times=3)": "RT223",
    "twice (nothing)": "RT201",
    'twice (photo | invert ddim "cat"->"dog")': "RT242",
    'twice (invert ddim "cat"->"dog" | save "i.png")': "RT242",
    'twice (invert ddim "cat"->"dog" | sheet "i.png")': "RT242",
    'twice (mask file "m.png" | invert ddim "cat"->"dog" | blend latent)': "RT242",
    'twice (invert ddim "cat"->"dog" | blend latent mask=drawn)': "RT242",
    "twice (mask box right=0.5)": "RT243",
    'twice (invert ddim "cat"->"dog" stesp=3)': "RT205",
    'twice (invert ddim "cat"->"dog" | mask diffedit | mask attention | blend latent)': "RT302",
    'twice (invert ddim "cat"->"dog" | attend p2p "cat"->"fox")': "RT305",
    "sample guidance=(invert ddim | sample)": "RT207",
    'invert ddim (invert edict "cat"->"dog" | sample)': "RT240",
    'twice turn=(invert ddim "cat"->"dog") turn=(invert edict "cat"->"dog")': "RT206",
    'swap("cat", "dog") times=3': "RT130",
    "twice turn=swap": "RT207",
    "twice kept": "RT202",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_may_not_be_is_told_once(text: str) -> None:
    above = 'photo = open "dog.png" caption="a cat"\ndrawn = mask file "m.png"\n'
    above += 'def swap(a, b) = invert ddim a->b\nlet kept = (invert ddim "cat"->"dog")\n'
    found = [each for each in check(above + OPEN + text + SAVE, world()).diagnostics if each.severity == "error"]
    assert [each.code for each in found] == [WRONG[text]], [each.message for each in found]


def test_a_mistake_in_a_flow_that_nothing_uses_is_one() -> None:
    assert "RT205" in codes(f'def a() = twice (invert ddim "cat"->"dog" stesp=3)\n{OPEN}{EDIT}{SAVE}')


def test_a_flow_may_come_from_the_command_line() -> None:
    text = f"let edit = ({EDIT})\n{OPEN}twice (edit){SAVE}"
    checked = check(text, replace(world(), settings={"edit": '(invert edict "cat"->"fox" | sample)'}))
    assert not checked.errors
    assert "invert edict" in {node.card.name for node in checked.graphs[0].everything()}


def test_it_is_drawn_planned_and_told_with_what_is_in_it() -> None:
    (graph,) = graphs(f"{OPEN}twice ({EDIT}) times=3{SAVE}")
    shown, drawn = as_text(plan(graph)), chart([graph])
    assert "in brackets" in shown
    assert "mask diffedit" in shown
    (twice,) = (box for box in drawn.boxes if box.title == "twice through")
    assert {arrow.label for arrow in drawn.arrows if arrow.end == twice.id} == {"Turn", "Image"}
