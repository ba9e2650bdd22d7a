"""Every stage that ships is documented, priced, shown in a recipe, and does what each of its options says."""

from __future__ import annotations

import pytest

from retouch.lang import syntax as s
from retouch.lang.parse import parse
from retouch.paths import folder
from retouch.plugins import registry

CARDS = [card for card in registry.load().cards if card.plugin in ("methods", "storybook", "scenes")]
# What the engine puts in by itself, and so stands in every recipe unwritten.
UNWRITTEN = {
    "open image",
    "encode vae",
    "decode vae",
    "save image",
    "eye clip",
    "guide cfg",
    "mask erode",
    "view image",
    "view mask",
    "view source",
    "view target",
    "view negative",
    "view own",
    "view prompts",
    "upscale esrgan",  # needs weights that another package ships: tests/laws/test_any_size.py
    "eye lpips",  # needs weights that come with no model: tests/models/test_eyes.py
}
OF_A_PAPER = ("decode tuned",)  # in a family of plumbing, and a method all the same
PLUMBING = (
    "open",
    "save",
    "encode",
    "decode",
    "sample",
    "require",
    "sheet",
    "measure",
    "crop",
    "paste",
    "view",
    "render",
)


def written() -> set[str]:
    """Family and method of every stage in the shipped recipes; a bare family counts for its default."""
    found: set[str] = set()
    defaults = {card.family: card.method for card in CARDS if card.default}
    for path in folder("recipes").rglob("*.retouch"):
        recipe, wrong = parse(path.read_bytes())
        assert not wrong, path
        for node in s.walk(recipe.statements):
            if isinstance(node, s.Stage):
                methods = [word.name for word in node.methods] or [defaults.get(node.family.name, "")]
                found |= {f"{node.family.name} {method}" for method in methods}
    return found


def test_there_are_stages():
    assert len(CARDS) >= 14


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_a_stage_says_what_it_does_in_one_line_and_what_each_option_means(card):
    assert card.summary
    assert len(card.summary) <= 120
    for option in card.options:
        assert option.doc, f"'{card.name}' does not say what '{option.name}' means"


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_a_stage_of_a_paper_names_it(card):
    plain_mask = card.family == "mask" and card.method not in ("diffedit", "attention", "lift")
    by_hand = card.name in ("schedule levels", "rank change", "fit saved")
    plumbing = card.family in PLUMBING and card.name not in OF_A_PAPER
    assert bool(card.paper) != (plumbing or plain_mask or by_hand)


def test_every_stage_stands_in_a_shipped_recipe():
    assert {card.name for card in CARDS} - UNWRITTEN <= written() | {"sample walk"}
