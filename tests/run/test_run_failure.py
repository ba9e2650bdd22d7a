"""Whatever goes wrong in a stage is a diagnostic at the stage's place, in words that say what to do."""

from __future__ import annotations

import errno
import os
from contextlib import nullcontext
from importlib import import_module

import pytest
import torch

from retouch.check.check import check
from retouch.core.errors import Unmet
from retouch.core.values import Canvas, Image, Latents, Mask
from retouch.models.errors import BrokenModel
from retouch.pictures import Changed, Unreadable, Unwritable
from retouch.plugins.discovery import broken
from retouch.run.failure import diagnose
from retouch.run.strangers.results import check_size
from retouch.run.strangers.wrong_results import NotFinite, WrongResult, tensors
from tests.lang.stages import world

RECIPE = 'invert ddim "cat"->"dog" | save "out.png"'
FAILURES = {
    "RT501": (IndexError("index 64 is out of bounds"), "'invert ddim' failed: index 64 is out of bounds"),
    "RT503": (torch.OutOfMemoryError(), "'invert ddim' does not fit in memory"),
    "RT504": (Unreadable("cats/5.png", "ends early"), "'5.png' is not an image that can be read: it ends early"),
    "RT583": (Changed("walls/5.tif"), "'5.tif' was changed while the run read it"),
    "RT505": (NotFinite(), "'invert ddim' made values that are not finite"),
    "RT507": (Unwritable("out.png", "no space left", "free some"), "could not be written: no space left"),
    "RT416": (BrokenModel("it has no weights"), "cannot be used: it has no weights"),
}


@pytest.mark.parametrize("code", FAILURES)
def test_a_failure_is_a_diagnostic_at_the_stage(code):
    """One code for each kind; the place is the stage's."""
    error, said = FAILURES[code]
    (graph,) = check(RECIPE, world()).graphs
    node = next(node for node in graph.nodes if node.card.name == "invert ddim")
    found = diagnose(node, error, "storybook")
    assert found.code == code
    assert said in found.message
    assert RECIPE[found.span.start : found.span.end] == 'invert ddim "cat"->"dog"'


@pytest.mark.parametrize(
    ("number", "mend"),
    [
        (errno.EACCES, "allow yourself to write there, as by chmod u+w, or choose another folder"),
        (errno.ENOSPC, "free some room, or choose another folder"),
        (errno.EROFS, "choose another folder"),
    ],
)
def test_what_to_do_where_the_system_refuses_a_file_is_by_what_it_says(number, mend):
    """Room does not help against a permission."""
    (graph,) = check(RECIPE, world()).graphs
    save = next(node for node in graph.nodes if node.card.family == "save")
    found = diagnose(save, OSError(number, os.strerror(number), save.options["path"]))
    assert (found.code, found.help) == ("RT507", mend)
    told = Unwritable.of("out.png", OSError(number, os.strerror(number)))
    assert str(told) == f"'out.png' cannot be written: {os.strerror(number)}; {mend}"


def test_an_unmet_requirement_says_both_figures():
    """What was measured, and what was asked for."""
    (graph,) = check(RECIPE, world()).graphs
    found = diagnose(graph.nodes[0], Unmet("psnr", "24.1", "at least 28"))
    assert (found.code, found.message) == ("RT502", "'psnr' is 24.1, and at least 28 was required")


@pytest.mark.parametrize(
    ("made", "wrong"),
    [
        (Mask(torch.ones(64, 48)), False),
        (Mask(torch.ones(7, 9)), True),
        (Mask(torch.ones(64, 64)), True),
        (Mask(torch.ones(8, 6), 8), False),
        (Mask(torch.ones(8, 8), 8), False),  # cells that pad the picture
        (Mask(torch.ones(8, 5), 8), True),
    ],
)
def test_a_strangers_mask_is_as_large_as_what_it_was_given(made, wrong):
    """Or the next stage would be blamed."""
    told = pytest.raises(WrongResult, match=r"\[64, 48\]") if wrong else nullcontext()
    with told:
        check_size(made, [Image(torch.zeros(3, 64, 48)), Latents(torch.zeros(4, 8, 6), Canvas(64, 48, 8))])
    check_size(made, [])  # nothing to hold it against


def test_numbers_are_found_wherever_they_lie_in_a_value():
    """By themselves, and in what holds them, however deep; so that what is not finite is found."""
    numbers = torch.tensor([1.0, torch.nan])
    for value in (numbers, [numbers], {"inside": (1, [numbers])}, Latents(numbers, Canvas(1, 1, 1))):
        assert [each is numbers for each in tensors(value)] == [True]


def test_a_plugin_that_cannot_be_imported_is_told_with_the_line(tmp_path, monkeypatch):
    """Of its own code, by which its author finds it."""
    (tmp_path / "reads_at_import.py").write_text('"""Mine."""\n\nW = open("weights.txt").read()\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(FileNotFoundError) as wrong:
        import_module("reads_at_import")
    assert broken("mine", wrong.value).placed["what"].endswith("'weights.txt' (reads_at_import.py, line 3)")
