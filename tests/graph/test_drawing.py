"""Graphs as pictures: every stage a box, every value an arrow, nothing laid over anything else."""

from __future__ import annotations

import re
from itertools import combinations, pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retouch.graph.drawing import FORMATS, chart
from retouch.graph.drawing.layers import layout

RECIPE = (
    'photo = open "cat.png" caption="a <b>\\"cat\\"</b> & #1"\n'
    'area = photo | mask diffedit "cat"->"dog" | mask dilate pixels=4\n'
    'photo | invert null_text "cat"->"dog" | blend latent mask=area | save "d2.png"\n'
    'area | save mask "m2.png"\n'
)
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def drawn(graph):
    return chart([graph(RECIPE)])


def test_every_stage_is_a_box_and_every_value_an_arrow_with_its_type(graph):
    made = graph(RECIPE)
    drawn = chart([made])
    assert [box.title for box in drawn.boxes] == [node.card.name for node in made.nodes]
    titles = {box.id: box.title for box in drawn.boxes}
    arrows = {(titles[arrow.start], arrow.label, titles[arrow.end]) for arrow in drawn.arrows}
    assert ("mask dilate", "Mask", "blend latent") in arrows
    assert ("mask dilate", "Mask", "save mask") in arrows
    assert len(drawn.arrows) == sum(len(set(node.feeds())) for node in made.nodes)


def test_boxes_tell_put_in_stages_from_written_ones_and_from_results(drawn):
    kinds = {box.title: box.kind for box in drawn.boxes}
    assert (kinds["sample ddim"], kinds["mask dilate"], kinds["save mask"]) == ("put_in", "stage", "result")
    assert all(bool(box.why) == (box.kind == "put_in") for box in drawn.boxes)


def test_boxes_show_what_was_chosen_and_the_prompts(drawn):
    lines = {box.title: box.lines for box in drawn.boxes}
    assert lines["mask dilate"] == ("pixels = 4",)
    assert "->" in " ".join(lines["mask diffedit"])


def test_work_that_two_recipes_share_is_one_box(graph):
    one = graph('open "cat.png" caption="a cat" | invert ddim "cat"->"dog" | save "a1.png"')
    two = graph('open "cat.png" caption="a cat" | invert ddim "cat"->"fox" | save "a2.png"')
    both = [box.title for box in chart([one, two]).boxes]
    assert both.count("invert ddim") == both.count("encode vae") == 1
    assert both.count("save image") == 2


@pytest.mark.parametrize("format", FORMATS)
def test_an_empty_chart_can_be_drawn(format):
    assert FORMATS[format](chart([]))


def test_mermaid_quotes_what_its_language_would_take_for_its_own(drawn):
    text = FORMATS["mermaid"](drawn)
    labels = re.findall(r'\["(.*)"\]', text)
    assert len(labels) == len(drawn.boxes)
    assert not any('"' in label or "<b>" in label for label in labels)
    assert "#lt;b#gt;" in text
    assert "#35;1" in text
    assert len(re.findall("-->", text)) == len(drawn.arrows)


def test_dot_quotes_and_keeps_every_box(drawn):
    text = FORMATS["dot"](drawn)
    assert text.count("[label=") == len(drawn.boxes) + len(drawn.arrows)
    for line in text.splitlines():
        assert len(re.findall(r'(?<!\\)"', line)) % 2 == 0, line


def test_svg_is_xml_with_every_box_inside_the_frame_and_none_over_another(drawn):
    root = ElementTree.fromstring(FORMATS["svg"](drawn))
    left, top, width, height = map(float, root.attrib["viewBox"].split())
    boxes = []
    for box in drawn.boxes:
        (group,) = (g for g in root.iter(f"{SVG}g") if g.get("id") == box.id)
        rect = group.find(f"{SVG}rect")
        x, y, w, h = (float(rect.attrib[name]) for name in ("x", "y", "width", "height"))
        assert left <= x <= x + w <= left + width
        assert top <= y <= y + h <= top + height
        boxes.append((x, y, x + w, y + h))
        assert [text.text for text in group.findall(f"{SVG}text")] == [box.title, *box.lines]
    assert not any(_overlap(a, b) for a, b in combinations(boxes, 2))


def test_svg_says_why_a_stage_was_put_in_and_what_dashes_mean(drawn):
    text = FORMATS["svg"](drawn)
    assert "<title>put in: 'save image' needs the edited image</title>" in text
    assert "dashed: put in by retouch" in text


def _overlap(a, b):
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


@st.composite
def dags(draw):
    """Boxes of any size, and arrows that all point the same way."""
    count = draw(st.integers(1, 14))
    names = [f"b{i}" for i in range(count)]
    sizes = {name: (draw(st.integers(10, 300)), draw(st.integers(10, 90))) for name in names}
    pairs = list(combinations(names, 2))
    return sizes, draw(st.lists(st.sampled_from(pairs), unique=True, max_size=30)) if pairs else []


@settings(max_examples=150, deadline=None)
@given(dags())
def test_a_layout_never_overlaps_and_arrows_go_down(made):
    sizes, edges = made
    found = layout(sizes, edges, (20, 30))
    boxes = {
        name: (x - sizes[name][0] / 2, y - sizes[name][1] / 2, x + sizes[name][0] / 2, y + sizes[name][1] / 2)
        for name, (x, y) in found.centres.items()
    }
    assert boxes.keys() == sizes.keys()
    assert not any(_overlap(a, b) for a, b in combinations(boxes.values(), 2))
    for (start, end), path in found.paths.items():
        assert path[0][1] == pytest.approx(boxes[start][3])
        assert path[-1][1] == pytest.approx(boxes[end][1])
        assert all(above[1] <= below[1] + 1e-6 for above, below in pairwise(path))
