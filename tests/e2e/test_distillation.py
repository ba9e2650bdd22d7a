"""Distillation from its recipe to the picture: packed, exact, masked, in brackets, and beside every other stage."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from retouch.api.checking import check
from retouch.graph.plan import plan
from retouch_storybook.world import Scene
from tests.e2e.command import draw
from tests.e2e.sessions import INSTALLED, graphs, run, tiny_world

MASKED = (
    'mask box left=20% top=30% right=70% | distil {how} "cat"->"dog" rounds=2 | blend pixel | save "{{name}}-made.png"'
)
HOW = ("dds", "pds", "sds")


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    return [draw(folder / f"{i}.png", Scene("cat", "orange", "in a meadow", seed=i)) for i in range(2)]


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


@pytest.mark.parametrize("how", HOW)
def test_pictures_pack_and_nothing_changes_outside_the_mask(how, two, tmp_path):
    recipe = MASKED.format(how=how)
    made = run(recipe, two, tmp_path, exact=True)
    (alone,) = run(recipe, two[:1], tmp_path / "alone", exact=True).outcomes
    wanted = [plan(graph).total[1] for graph in graphs(recipe, two, tmp_path)]
    assert [sum(outcome.rows.values()) for outcome in made.outcomes] == wanted
    for before, after in zip(two, sorted(tmp_path.glob("*-made.png")), strict=True):
        moved = (pixels(before) != pixels(after)).any(-1)
        assert moved[20:64, 13:44].mean() > 0.2
        moved[19:64, 12:45] = False
        assert not moved.any()
    assert (tmp_path / "alone" / "0-made.png").read_bytes() == (tmp_path / "0-made.png").read_bytes()
    assert sum(alone.rows.values()) == wanted[0]


def test_in_brackets_it_is_a_turn_like_any_other(two, tmp_path):
    recipe = 'mask box right=60% | repaint (distil dds "cat"->"dog" rounds=2) times=2'
    (graph,) = graphs(recipe, two[:1], tmp_path)
    made = run(recipe, two[:1], tmp_path)
    assert plan(graph).total[1] == sum(made.outcomes[0].rows.values()) == 2 * 2 * 2 * 2


def test_it_goes_with_every_mask_guidance_and_schedule(tmp_path):
    """What leads by a gradient is refused by name; all else is checked, and one of each kind runs."""
    world = tiny_world(tmp_path, steps=4)
    beside = {
        **{f"guide {card.method}": card for card in INSTALLED.cards if card.family == "guide"},
        **{f"schedule {card.method}": card for card in INSTALLED.cards if card.family == "schedule"},
        **{f"mask {card.method}": card for card in INSTALLED.cards if card.family == "mask"},
    }
    for name, card in beside.items():
        if card.takes("Window", "Field", "Views") or any(option.required for option in card.options):
            continue
        soft = "mask box right=70% | " if card.family == "mask" and card.takes("Mask") else ""
        other = " other=area" if name in ("mask union", "mask intersect", "mask subtract") else ""
        eye = 'eye clip "storybook" | eye vit "storybook" | ' if card.takes("ImageText", "VisionTokens") else ""
        text = f'{soft}{eye}{name}{other} | distil dds "cat"->"dog"'
        text = ("area = mask box left=50%\n" if other else "") + text
        found = check(text, world)
        leads = card.family == "guide" and card.takes("Guidance") and card.output == "Guidance"
        said = {item.code for item in found.errors}
        assert said <= ({"RT580"} if leads else {"RT320", "RT321"}), (text, said)
        assert bool(said) or not leads
