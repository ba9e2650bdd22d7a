"""`verify` refuses graphs that are not sound."""

from __future__ import annotations

from dataclasses import replace

import pytest

from retouch.graph.nodes import FromEngine, FromNode
from tests.graph.verify import verify


@pytest.fixture
def sound(graph):
    return graph('invert ddim "cat"->"dog" | blend local')


def changed(graph, id_, **parts):
    return replace(graph, nodes=tuple(replace(n, **parts) if n.id == id_ else n for n in graph.nodes))


def test_a_sound_graph_passes(sound):
    verify(sound)


@pytest.mark.parametrize(
    ("id_", "parts", "said"),
    [
        ("invert.ddim#1", {"inputs": {}}, "not connected"),
        (
            "decode.vae#1",
            {"inputs": {"latents": FromNode("open.image#1"), "codec": FromEngine("Codec")}},
            "given Image",
        ),
        ("encode.vae#1", {"inputs": {"image": FromNode("decode.vae#1"), "codec": FromEngine("Codec")}}, "before"),
        (
            "encode.vae#1",
            {"inputs": {"image": FromNode("open.image#1"), "codec": FromEngine("Magic")}},
            "makes no Magic",
        ),
        ("save.image#1", {"options": {}}, "has the options"),
        ("save.image#1", {"origin": {}}, "where its options come from"),
    ],
)
def test_what_is_not_sound_is_refused(sound, id_, parts, said):
    with pytest.raises(AssertionError, match=said):
        verify(changed(sound, id_, **parts))


def test_work_that_nothing_needs_is_refused(sound):
    extra = replace(sound.node("open.image#1"), id="open.image#2", options={"path": "y", "size": 0, "caption": ""})
    with pytest.raises(AssertionError, match="nothing needs"):
        verify(replace(sound, nodes=(*sound.nodes, extra)))


def test_the_same_work_twice_is_refused(sound):
    twin = replace(sound.node("open.image#1"), id="open.image#2")
    with pytest.raises(AssertionError, match="twice"):
        verify(replace(sound, nodes=(*sound.nodes, twin)))
