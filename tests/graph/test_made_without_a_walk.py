"""Stages that make the edited latents by themselves, and the turns round them."""

from __future__ import annotations

import pytest

from retouch.graph.nodes import FromEngine, FromNode
from retouch.graph.plan import plan

DOG = 'distil dds "cat"->"dog"'


def names(graph):
    return [node.card.name for node in graph.nodes]


def codes(found):
    return [item.code for item in found.errors]


def test_nothing_is_sampled_and_the_source_is_encoded_once(graph):
    found = graph(f'open "cat.png" | mask box right=50% | {DOG} | blend pixel | save "o.png"')
    assert not [name for name in names(found) if name.startswith("sample")]
    made = found.node("distil.dds#1")
    assert made.inputs["latents"] == made.inputs["source"] == FromNode("encode.vae#1")
    assert made.inputs["mask"] == FromNode("mask.box#1")
    pixel = found.node("blend.pixel#1").inputs
    assert (pixel["source"], pixel["mask"]) == (FromNode("open.image#1"), FromNode("mask.box#1"))
    assert plan(found).total == (40, 40)


@pytest.mark.parametrize("second", ['invert ddim "dog"->"fox"', 'distil dds "dog"->"fox"'])
def test_the_next_edit_begins_another_turn_in_latents(graph, second):
    found = graph(f'open "cat.png" | {DOG} | {second} | save "o.png"')
    assert names(found).count("encode vae") == names(found).count("decode vae") == 1
    then = next(node for node in found.nodes if node.turn == 2)
    assert then.inputs["latents"] == FromNode("distil.dds#1")
    if "source" in then.inputs:
        assert then.inputs["source"] == FromNode("distil.dds#1")
        target = then.inputs["edit"]
        assert isinstance(target, FromEngine)
        assert "fox" in str(target.settings["target"])


def test_a_walk_before_it_is_sampled_and_its_edit_begins_there(graph):
    found = graph('open "cat.png" | invert ddim "cat"->"dog" | distil dds "dog"->"fox" | save "o.png"')
    assert found.node("sample.ddim#1").put_in == "'distil dds' begins another turn"
    made = found.node("distil.dds#1")
    assert made.inputs["latents"] == made.inputs["source"] == FromNode("sample.ddim#1")


def test_a_mask_is_of_the_turn_that_it_stands_in(graph):
    """What stands behind the picture is for the next turn; what its own bytes are kept by is its own."""
    found = graph(
        f'open "cat.png" | mask box right=50% | {DOG} | blend pixel | mask box left=50%'
        ' | distil dds "dog"->"fox" | blend pixel | save "o.png"'
    )
    first, second = (found.node(f"distil.dds#{i}").inputs for i in (1, 2))
    assert first["mask"] == FromNode("mask.box#1")
    assert second["mask"] == FromNode("mask.box#2")
    assert second["source"] == second["latents"] != first["latents"]
    assert found.node("blend.pixel#2").inputs["source"] == FromNode("blend.pixel#1")


def test_a_mask_is_gone_behind_its_turn(checked):
    found = checked(
        f'open "cat.png" | mask box right=50% | {DOG} | distil dds "dog"->"fox" | blend pixel | save "o.png"'
    )
    assert codes(found) == ["RT319"]
    assert "'distil dds' has ended the turn" in found.errors[0].message


def test_a_turn_is_edited_once(checked):
    assert codes(checked(f'open "cat.png" | {DOG} | distil dds | save "o.png"')) == ["RT319"]
    assert codes(checked('open "cat.png" | distil dds | save "o.png"')) == ["RT307"]


@pytest.mark.parametrize("idle", ["attend p2p", "blend latent", "solver heun"])
@pytest.mark.parametrize("before", [True, False])
def test_what_acts_in_a_walk_is_refused_once_and_by_name(checked, idle, before):
    flow = f"{idle} | {DOG}" if before else f"{DOG} | {idle}"
    found = checked(f'open "cat.png" | mask box right=50% | {flow} | blend pixel | save "o.png"')
    assert codes(found) == ["RT580"]
    assert found.errors[0].message.startswith(f"'{idle}' acts in a walk")


def test_it_is_no_way_of_first(checked):
    found = checked(f'def a() = {DOG}\ndef b() = {DOG}\nopen "cat.png" | first(a(), b()) | save "o.png"')
    assert set(codes(found)) == {"RT309"}
