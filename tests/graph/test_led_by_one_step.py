"""A loss that leads a walk of one step leads next to nothing, and that is told before anything runs."""

from __future__ import annotations

import pytest

from retouch.check.check import check
from retouch.check.reading.environment import Environment
from retouch.plugins import registry

INSTALLED = registry.load()


def said(recipe: str, tmp_path) -> list[tuple[str, str]]:
    found = check(recipe, Environment(INSTALLED, tmp_path)).diagnostics
    return [(each.code, recipe[each.span.start : each.span.end]) for each in found if each.code == "RT468"]


@pytest.mark.parametrize(
    "walk", ["invert ddim {} steps=1", "invert sdedit {} steps=4 strength=30%", "invert ddim {} steps=1 | sample"]
)
def test_losses_of_one_step_are_told_each_at_its_place(walk: str, tmp_path) -> None:
    begin, *rest = walk.format('"cat"->"dog"').split(" | ")
    recipe = " | ".join([begin, "guide range", "guide identity likeness=0", *rest])
    assert said(recipe, tmp_path) == [("RT468", "guide range"), ("RT468", "guide identity likeness=0")]


@pytest.mark.parametrize("stage", ["guide norm", "guide cfg", ""])
def test_guidance_without_a_loss_acts_in_one_step(stage: str, tmp_path) -> None:
    assert said(" | ".join(filter(None, ['invert ddim "cat"->"dog" steps=1', stage])), tmp_path) == []


def test_two_steps_are_led(tmp_path) -> None:
    assert said('invert ddim "cat"->"dog" steps=2 | guide range', tmp_path) == []


def test_it_is_told_in_brackets_too(tmp_path) -> None:
    recipe = 'draw (invert sdedit "cat"->"dog" steps=1 strength=100% | guide range) seeds=2 | rank denoiser'
    assert said(recipe, tmp_path) == [("RT468", "guide range")]
