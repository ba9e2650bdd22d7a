"""Scripts that chain edits over many pictures, in processes of their own, and what they confuse."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import retouch
from retouch.core.device.repeatable import with_threads

COPY = retouch.recipe("encode | decode")


def test_what_is_gone_through_once_is_several_pictures(cat: Path) -> None:
    assert [result.ok for result in COPY(each for each in (cat, cat))] == [True, True]
    assert len(COPY(cat.parent.glob("*.png"))) == 1
    assert COPY(iter(())) == COPY([]) == []


def test_a_result_is_the_next_edits_picture_and_a_failed_one_stays_what_it_was(cat: Path, tmp_path: Path) -> None:
    (tmp_path / "torn.png").write_bytes(b"no picture")
    first = COPY([cat, tmp_path / "torn.png"])
    second = COPY(first)
    assert [result.ok for result in second] == [True, False]
    assert second[0].image.tobytes() == COPY(first[0].image).image.tobytes()
    assert second[1].diagnostics == first[1].diagnostics
    with pytest.raises(TypeError, match=r"a result of 2 pictures: .* 'images'"):
        COPY(replace(first[0], images=first[0].images * 2))


@pytest.mark.parametrize("call", [COPY, lambda: COPY(None), retouch.mask.box(right=0.5), COPY.graphs])
def test_without_a_picture_a_recipe_that_opens_none_is_refused(call) -> None:
    """As what reads pictures gives None for a file that is not there."""
    with pytest.raises(retouch.RecipeError, match="RT408"):
        call()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: retouch.recipe(Path("x.retouch")), r"not pathlib\.\w+; of a file read_text"),
        (lambda: retouch.open(np.zeros((64, 64, 3), np.uint8)), r"such as numpy\.ndarray: a picture is given when"),
        (lambda: retouch.open("cat.png") | "invert ddim", r"behind \| stands a stage"),
        (lambda: COPY(3), r"a picture is a path, .*, not builtins\.int"),
        (lambda: COPY(["cat.png"], caption=3), "a caption is a text, a list"),
    ],
)
def test_what_scripts_confuse_is_told_with_what_to_write(wrong, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        wrong()


def test_numbers_of_numpy_are_numbers(cat: Path) -> None:
    assert str(retouch.invert.ddim(steps=np.int64(2), strength=np.float64(0.5))) == "invert ddim steps=2 strength=0.5\n"
    (graph,) = retouch.recipe("invert ddim").graphs(cat, steps=np.int64(7), seed=np.int64(1))
    assert any(
        edge.settings.get("steps") == 7 for node in graph.nodes for _, edge in node.edges() if hasattr(edge, "settings")
    )


def test_a_process_that_is_forked_from_one_that_has_calculated_has_one_thread() -> None:
    """Its parent's others are not there, and OpenMP would wait for them for ever."""
    with with_threads(2):
        child = os.fork()
        if not child:
            os._exit(torch.get_num_threads())
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
