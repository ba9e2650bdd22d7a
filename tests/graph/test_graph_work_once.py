"""Equal work is one node, and a node's key holds only what its value depends on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from retouch.graph.keys import node_keys


def count(graph, name):
    return sum(node.card.name == name for node in graph.nodes)


def test_two_flows_share_an_inversion(graph):
    found = graph(
        'photo = open "cat.png" caption="a cat"\n'
        "path = photo | invert null_text\n"
        'path | attend p2p "cat"->"dog" | save "d.png"\n'
        'path | attend p2p "cat"->"fox" | save "f.png"\n'
    )
    assert count(found, "invert null_text") == 1
    assert count(found, "sample ddim") == 2


def test_writing_the_text_of_a_name_changes_nothing(graph):
    named = graph('photo = open "cat.png" caption="a cat"\nphoto | invert ddim "cat"->"dog" | save "o.png"')
    written = graph('open "cat.png" caption="a cat" | invert ddim "cat"->"dog" | save "o.png"')
    assert node_keys(named) == node_keys(written)


def test_a_name_used_as_a_port_and_as_a_result_is_done_once(graph):
    found = graph(
        'photo = open "cat.png" caption="a cat"\n'
        'area = photo | mask diffedit "cat"->"dog" | mask dilate pixels=4\n'
        'photo | invert ddim "cat"->"dog" | blend latent mask=area | save "d.png"\n'
        'area | save mask "new.png"\n'
    )
    assert count(found, "mask diffedit") == 1


def test_another_target_prompt_runs_no_inversion_again(graph):
    recipe = 'open "cat.png" caption="a cat" | invert null_text "cat"->"{}" | save "o.png"'
    dog, fox = (node_keys(graph(recipe.format(word))) for word in ("dog", "fox"))
    assert dog["invert.null_text#1"] == fox["invert.null_text#1"]
    assert dog["sample.ddim#1"] != fox["sample.ddim#1"]


@pytest.mark.parametrize("change", ["steps=20", "inner=3", "guidance=4"])
def test_what_the_inversion_depends_on_changes_its_key(graph, change):
    recipe = 'open "cat.png" caption="a cat" | invert null_text "cat"->"dog" {} | save "o.png"'
    before, after = (node_keys(graph(recipe.format(text))) for text in ("", change))
    assert before["invert.null_text#1"] != after["invert.null_text#1"]


def test_a_caption_is_no_part_of_the_picture(graph):
    recipe = 'open "cat.png" caption="{}" | invert ddim "cat"->"dog" | save "o.png"'
    one, two = (node_keys(graph(recipe.format(text))) for text in ("a cat", "a white cat"))
    assert one["encode.vae#1"] == two["encode.vae#1"]
    assert one["invert.ddim#1"] != two["invert.ddim#1"]


def test_keys_do_not_depend_on_the_other_flows_of_a_recipe(graph):
    alone = node_keys(graph('open "cat.png" | invert ddim "cat"->"dog" | save "o.png"'))
    beside = node_keys(
        graph(
            'open "cat.png" | invert edict "a"->"b" | save "p.png"\n'
            'open "cat.png" | invert ddim "cat"->"dog" | save "o.png"'
        )
    )
    assert set(alone.values()) < set(beside.values())


def test_a_path_whose_bytes_are_no_words_has_a_key_of_its_own(graph):
    written = graph('open "cat.png" caption="a cat" | invert ddim "cat"->"dog" | save "o.png"')
    *others, saved = written.nodes
    strange = replace(written, nodes=(*others, replace(saved, options={**saved.options, "path": "bad\udcff.png"})))
    assert node_keys(strange)[saved.id] != node_keys(written)[saved.id]
