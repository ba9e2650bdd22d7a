"""The edits are spread evenly, unseen by training, and say in words exactly what the drawings show."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch

from retouch.check.check import check
from retouch.check.reading.environment import Environment
from retouch.graph.nodes import FromEngine, Picture
from retouch.plugins import registry
from retouch_bench.drawn import Drawn, read
from retouch_bench.edits import KINDS, held_out_edits
from retouch_storybook.train.chunks import scenes_of
from retouch_storybook.world import FIRST_UNSEEN_SEED

EDITS = held_out_edits(200)


def test_every_kind_has_as_many_edits_as_any_other():
    counts = Counter(edit.kind for edit in EDITS)
    assert set(counts) == set(KINDS)
    assert max(counts.values()) - min(counts.values()) <= 1


def test_more_edits_leave_those_before_as_they_were():
    assert held_out_edits(9) == EDITS[:9]
    assert held_out_edits(9, seed=1) != EDITS[:9]


def test_no_source_was_seen_in_training():
    trained = {scene.seed for scene in scenes_of("00000")}
    assert max(trained) < FIRST_UNSEEN_SEED
    for edit in EDITS:
        assert edit.before.held_out
        assert edit.before.seed >= FIRST_UNSEEN_SEED


def test_an_edit_changes_what_its_kind_says_and_keeps_the_seed():
    asked = {"change object": {"subject"}, "change color": {"color"}, "background": {"setting"}, "style": {"style"}}
    for edit in EDITS:
        assert edit.before.seed == edit.after.seed
        assert set(edit.asked) == asked.get(edit.kind, set(edit.asked))
        assert len(edit.asked) >= 2 if edit.kind == "several" else len(edit.asked) == 1
        assert not set(edit.asked) & set(edit.kept)


def test_nobody_is_asked_for_the_color_of_a_pencil_sketch():
    sketched = [edit for edit in EDITS if edit.after.style == "sketch"]
    assert sketched
    assert all("color" not in (*edit.asked, *edit.kept) for edit in sketched)


@pytest.mark.thorough
@pytest.mark.parametrize("many", [50, pytest.param(200, marks=pytest.mark.bench)])
def test_the_words_of_an_edit_turn_one_caption_into_the_other(many):
    installed = registry.load()
    for edit in EDITS[:many]:
        picture = Picture(Path("IMAGE"), caption=edit.before.caption(), known=False)
        checked = check(f"invert ddim {edit.change}", Environment(installed, Path(), (picture,)))
        assert not checked.errors, edit
        edges = [edge for node in checked.graphs[0].nodes for _, edge in node.edges() if isinstance(edge, FromEngine)]
        targets = {edge.settings["target"] for edge in edges if edge.type == "Edit"}
        assert targets == {edit.after.caption()}


def test_what_an_edit_adds_and_removes_is_named_by_words_of_its_captions():
    for edit in EDITS:
        before, after = edit.before.caption(), edit.after.caption()
        assert edit.words
        assert all(word in before for word in (*edit.words, *edit.removed))
        assert all(word in after for word in edit.added)
        assert bool(edit.added) != (edit.kind == "delete")
        assert bool(edit.removed) == (edit.kind not in {"add", "style"})


@pytest.mark.parametrize("edit", EDITS[:7], ids=lambda edit: edit.name)
def test_outside_the_region_both_drawings_are_the_same_and_inside_they_are_not(edit, tmp_path):
    drawn = Drawn(edit, tmp_path, 64)
    source, truth = read(drawn.source), read(drawn.truth)
    assert torch.equal(source[:, ~drawn.inside], truth[:, ~drawn.inside])
    assert not torch.equal(source[:, drawn.inside], truth[:, drawn.inside])


def test_a_drawing_is_drawn_once(tmp_path):
    drawn = Drawn(EDITS[0], tmp_path, 64)
    path = drawn.source
    path.write_bytes(b"kept")
    assert Drawn(EDITS[0], tmp_path, 64).source.read_bytes() == b"kept"


def test_a_cell_of_the_mask_is_edited_if_any_of_its_pixels_is(tmp_path):
    drawn = Drawn(EDITS[1], tmp_path, 64)
    cells = drawn.cells(4)
    for y in range(16):
        for x in range(16):
            assert cells[y, x] == (drawn.region[4 * y : 4 * y + 4, 4 * x : 4 * x + 4] > 0).any()
