"""Prompts: what the edit makes of the caption, and who is told."""

from __future__ import annotations

import pytest

from retouch.core.words import places
from retouch.graph.nodes import Picture


def edit_of(graph, node="sample.ddim#1"):
    return graph.node(node).inputs["edit"].settings


def made(graph, caption, edit):
    found = edit_of(graph(f'open "cat.png" caption="{caption}" | invert ddim {edit} | save "o.png"'))
    return found["source"], found["target"]


@pytest.mark.parametrize(
    ("caption", "edit", "target"),
    [
        ("a cat", '"cat"->"dog"', "a dog"),
        ("a Cat on a cat", '"cat"->"dog"', "a dog on a dog"),
        ("a cat, a category", '"cat"->"dog"', "a dog, a category"),
        ("a cat and a dog", '"cat"->"dog" "dog"->"cat"', "a dog and a cat"),
        ("a cat", '+"a red hat"', "a cat, a red hat"),
        ("a big fluffy cat", '-"fluffy"', "a big cat"),
        ("a cat, fluffy, in snow", '-"fluffy"', "a cat, in snow"),
        ("a cat", '"a dog on a beach"', "a dog on a beach"),
        ("a cat", '"cat"->"fluffy dog"*1.5', "a fluffy dog"),
        ("草地上的白猫", '"白猫"->"黑狗"', "草地上的黑狗"),
    ],
)
def test_changes_are_made_to_the_caption_at_once(graph, caption, edit, target):
    assert made(graph, caption, edit) == (caption, target)


def test_weights_name_words_of_the_target(graph):
    found = graph('open "cat.png" caption="a cat" | invert ddim "cat"->"dog"*1.5 "a"*0.5 | save "o.png"')
    assert edit_of(found)["weights"] == (("dog", 1.5), ("a", 0.5))
    assert edit_of(found)["changes"] == (("cat", "dog"),)


def test_without_a_caption_the_sides_are_the_prompts(graph):
    found = edit_of(graph('open "cat.png" | invert ddim "cat"->"dog" | save "o.png"'))
    assert (found["source"], found["target"]) == ("cat", "dog")


def test_the_next_turn_begins_with_this_turns_target(graph):
    found = graph('open "cat.png" caption="a cat" | invert ddim "cat"->"dog" | invert ddim +"a hat" | save "o.png"')
    assert edit_of(found, "sample.ddim#2") | {"source": "a dog", "target": "a dog, a hat"} == edit_of(
        found, "sample.ddim#2"
    )


def test_a_turn_without_an_edit_replays_its_source(graph):
    found = edit_of(graph('open "cat.png" caption="a cat" | invert ddim | save "o.png"'))
    assert (found["source"], found["target"]) == ("a cat", "a cat")


def test_an_edit_written_late_holds_for_the_whole_turn(graph):
    found = graph('open "cat.png" | invert ddim | attend p2p "cat"->"dog" | save "o.png"')
    assert found.node("invert.ddim#1").inputs["prompt"].settings["text"] == "cat"


def test_edit_by_name_is_the_turns_if_it_has_no_other(graph):
    found = graph('let change = "cat"->"dog"\nopen "cat.png" | invert ddim | attend p2p edit=change | save "o.png"')
    assert edit_of(found)["target"] == "dog"


def test_edit_by_name_is_for_its_stage_alone_beside_another(graph):
    found = graph(
        'open "cat.png" | invert ddim "cat"->"dog" | mask diffedit edit="a"->"b" | blend latent | save "o.png"'
    )
    assert edit_of(found)["target"] == "dog"
    assert edit_of(found, "mask.diffedit#1")["target"] == "b"


def test_the_negative_prompt_is_the_whole_turns(graph):
    found = graph('open "cat.png" | invert null_text "cat"->"dog" | sample negative="blurry" | save "o.png"')
    assert found.node("invert.null_text#1").inputs["negative"].settings["text"] == "blurry"
    assert edit_of(found)["negative"] == "blurry"


def test_captions_come_from_the_recipe_the_command_line_or_a_file_beside(graph, folder):
    (folder / "cat.txt").write_text("a white cat\n")
    recipe = 'open "cat.png"{} | invert ddim "cat"->"dog" | save "o.png"'
    assert edit_of(graph(recipe.format("")))["source"] == "a white cat"
    assert edit_of(graph(recipe.format(' caption="my cat"')))["source"] == "my cat"
    given = graph('invert ddim "cat"->"dog"', Picture(folder / "cat.png", caption="their cat"))
    assert edit_of(given)["source"] == "their cat"


def test_a_check_without_an_image_does_not_miss_its_caption(graph):
    assert graph('invert ddim "cat"->"dog" +"a hat"')


@pytest.mark.parametrize(("words", "found"), [("cat", [(2, 5)]), ("at", []), ("a cat", [(0, 5)]), ("", []), (" ", [])])
def test_words_are_found_whole(words, found):
    assert places(words, "a cat sat") == found


NOTHING = [
    ('"cat"->"cat"', "RT313"), ('"cat"->"cat" "meadow"->"meadow"', "RT313"), ('+""', "RT313"),
    ('"cat"->" cat "', "RT313"),
    ('"a cat in a meadow"', "RT318"), ('"cat"->"cat"*2', ""), ('"cat"*2', ""), ('"cat"->"cat" "meadow"->"beach"', ""),
    ('"cat"->"cat" +"a hat"', ""), ('"cat"->"Cat"', ""), ("", ""),
]  # fmt: skip


@pytest.mark.parametrize(("change", "code"), NOTHING)
def test_an_edit_that_leaves_the_words_as_they_are_is_told(checked, change, code):
    """A part of it may, and capitals are the model's to tell apart; nothing written is no edit at all."""
    found = checked(f'open "cat.png" caption="a cat in a meadow" | invert ddim {change} | save "o.png"')
    assert [item.code for item in found.diagnostics if item.code != "RT246"] == ([code] if code else [])


def test_an_edit_of_one_stage_alone_is_told_too(checked):
    begun = 'open "cat.png" caption="a cat" | invert ddim "cat"->"dog" | '
    found = checked(f'{begun}attend p2p edit="cat"->"cat" | save "o.png"')
    assert [item.code for item in found.diagnostics] == ["RT313"]
    assert not checked(f'{begun}attend p2p edit="cat"->"fox" | save "o.png"').diagnostics


def test_without_a_caption_the_two_prompts_are_compared(checked):
    assert [item.code for item in checked('invert ddim "a cat"->"a cat"').diagnostics] == ["RT313"]
