"""Every option of every method changes the result: one run without it, one with another value, all packed together."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import torch

from retouch.check.check import check
from retouch.check.matrix import EDIT, FAMILIES, written
from retouch.check.reading.environment import Environment
from retouch.graph.nodes import Graph
from retouch.plugins.signatures import Option, StageCard
from retouch.run.session import execute
from tests.e2e.sessions import INSTALLED, tiny_world

# What else has to hold for an option to matter: written on its own stage, in both runs.
BESIDE = {
    "invert ddim iterations": 'convention="fixed_point"',
    "invert null_text stop_growth": "stop=0",
    "invert null_text stop": "lr=1%",
    "guide pix2pix_zero before": 'before=["a cat"] after=["a dog"]',
    "guide pix2pix_zero after": 'before=["a cat"] after=["a dog"]',
    "guide proximal dilate": "pull=1",
    "guide proximal pull_below": "pull=1",
    "guide proximal pull_to": "pull=1",
    "guide semantic early": "quantile=50%",
    "attend p2p word_replace": 'words=["dog"]',
    "attend p2p words": 'words=["orange"] word_replace=[10%]',
    "mask diffedit swapped": 'source_negative="a hat" threshold=30%',
    "mask diffedit scale": 'source_negative="a dog"',
    "mask attention levels": "threshold=95%",
    "invert sdedit eta": "strength=100%",
    "invert sdedit draws": "strength=100%",
    "invert sdedit begin": "strength=100%",
    "attend masactrl masked": "start=0",
    "crop window shape": "size=64 least=1",
    "attend masactrl coarsest": "start=0",
    "blend local words": "threshold=95% start=0",
    "blend local keep": "threshold=95% start=0",
    "blend local start": "threshold=95%",
    "blend local side": "threshold=95% start=0",
}
# Where the option decides what becomes of the source branch, something has to read that.
READ = {"invert ddim pinned", "invert pnp_inversion scale", "invert sdedit draws", "invert fixed_point pinned"}
READ |= {"invert uniinv pinned"}
SOFT = "mask box right=70% | mask feather pixels=8"
HIGH, SMALL = (
    f"mask box left=40% {box} | crop window | invert ddim EDIT | paste"
    for box in ("right=50% top=30% bottom=70%", "right=60% top=40% bottom=60%")
)
RECIPES = {
    "mask threshold at": f"invert ddim EDIT | {SOFT} | mask threshold | blend latent",
    "crop window context": SMALL,
    "crop window shape": HIGH,
    "crop window least": SMALL,
}
# Another value, where the next one that comes to mind would not do.
OTHER = {
    "invert null_text inner_steps": "1",
    "invert null_text stop": "1",
    "invert null_text stop_growth": "1",
    "guide semantic add": '["a hat"]',
    "guide semantic remove": '["a hat"]',
    "guide semantic scale": "1",
    "guide semantic early": "0",
    "guide proximal pull": "1",
    "attend p2p words": '["dog"]',
    "attend p2p word_replace": "[60%]",
    "attend p2p self_replace": "0",
    "guide pix2pix_zero after": '["one dog"]',
    "guide proximal pull_below": "1000",
    "invert direct injected": "1",
    "invert edit_friendly strength": "100%",
    "invert sdedit strength": "100%",
    "mask diffedit strength": "100%",
    "invert ddim pinned": '"never"',
    "invert fixed_point pinned": '"never"',
    "invert uniinv pinned": '"never"',
    "mask attention levels": "1",
    "mask diffedit maps": "1",
    "mask diffedit scale": "1",
    "mask dilate pixels": "12",
    "blend local threshold": "99%",
    "blend local start": "80%",
    "mask attention words": '["meadow"]',
    "blend local words": '["meadow"]',
    "attend p2p align": '"refine"',
    "attend p2p self_tokens": "1",
    "mask attention coarsest": "1",
    "attend masactrl coarsest": "1",
    "blend local keep": '["meadow"]',
    "blend local side": "4",
    "mask box right": "80%",
    "schedule levels at": "[900, 500, 200]",
    "mask box left": "90%",
    "mask color name": '"#2040ff"',
    "mask file label": "0",
    "mask file path": '"pictures/other_mask.png"',
    "mask threshold at": "90%",
}
STEPS = 3
SEEDS = (6, 7, 8)


@dataclass(frozen=True)
class Trial:
    """One option, and the results with and without another value of it."""

    name: str
    plain: Graph
    changed: Graph


def cards() -> Iterator[StageCard]:
    """All on a model of noise: tests/laws/test_flow.py has the others, and laws hold what leads by a gradient."""
    for family in FAMILIES:
        for method in INSTALLED.methods(family):
            found = (c for c in INSTALLED.candidates(family, method) if not c.predicts and not c.told)
            flat = (c for c in found if not c.takes("Field", "Views"))  # scenes: tests/scenes
            yield from (c for c in flat if not c.takes("Guidance") or c.output != "Guidance")


def other(card: StageCard, option: Option) -> str:
    """A value that is not the default, as a recipe writes it."""
    kind, default = option.kind, option.default
    if (said := OTHER.get(f"{card.name} {option.name}")) is not None:
        return said
    if kind.choices:
        return f'"{next(choice for choice in kind.choices if choice != default)}"'
    if kind.type == "bool":
        return str(not default).lower()
    if kind.type == "text":
        return '["a dog"]' if kind.many else '"a dog"'
    low, high = kind.low or 0, kind.high or 1
    middle = (low + min(high, 2 * (default or 0) + 2)) / 2
    number = middle if middle != default else low
    return str(round(number)) if kind.type == "int" else f"{number:g}"


def graph(world: Environment, recipe: str, name: str) -> Graph:
    found = check(recipe, world)
    assert not found.errors, f"{name}: {recipe}{[(error.code, error.message) for error in found.errors]}"
    return found.graphs[0]


def trial(world: Environment, card: StageCard, option: Option) -> Trial:
    name = f"{card.name} {option.name}"
    least = RECIPES.get(name, "").replace("EDIT", EDIT) or written((card,))
    least = least.rstrip("\n") + (" | mask box right=70% | blend latent" if name in READ else "")
    plain = said(card, least, BESIDE.get(name, ""))
    bare = re.sub(rf" {option.name}=(\[[^]]*\]|\"[^\"]*\"|\S+)", "", plain)
    changed = said(card, bare, f"{option.name}={other(card, option)}")
    return Trial(name, graph(world, plain, name), graph(world, changed, name))


def said(card: StageCard, recipe: str, more: str) -> str:
    """The recipe with more written at the end of this stage."""
    lines = recipe.rstrip("\n").split("\n")
    stages = lines[-1].split(" | ")
    place = next(i for i, stage in enumerate(stages) if f"{stage} ".startswith(f"{card.name} "))
    stages[place] = f"{stages[place]} {more}".rstrip()
    return "\n".join([*lines[:-1], " | ".join(stages)]) + "\n"


@pytest.mark.thorough
def test_every_option_changes_the_result(tmp_path):
    """In one of a few random models at least: in any one of them some mask may happen to be full or empty."""
    idle = {f"{card.name} {option.name}" for card in cards() for option in card.options}
    for seed in SEEDS:
        (here := tmp_path / str(seed)).mkdir()
        idle -= changing(idle, tiny_world(here, STEPS, seed))
    assert not idle, "these options change nothing: " + ", ".join(sorted(idle))


def changing(names: set[str], world: Environment) -> set[str]:
    """Of these options, those that change the result in this world."""
    trials = [trial(world, card, o) for card in cards() for o in card.options if f"{card.name} {o.name}" in names]
    result = execute([graph for each in trials for graph in (each.plain, each.changed)], registry=INSTALLED)
    failed = [outcome.failures[0].message for outcome in result.outcomes if outcome.failures]
    assert not failed, "\n".join(failed)
    pairs = zip(trials, result.outcomes[::2], result.outcomes[1::2], strict=True)
    return {
        each.name
        for each, plain, changed in pairs
        if not torch.equal(picture(each.plain, plain.values), picture(each.changed, changed.values))
    }


MOOT = (  # a stage, what is said in both runs, and what then is told to change nothing
    ("invert ddim", "", "iterations=2"),
    ("invert direct", "injected=0", "share=10%"),
    ("invert direct", "injected=0", 'noise="step"'),
    ("invert flowedit", "until=0", "source_guidance=9"),
    ("guide pix2pix_zero", "lr=0", 'reference="sampled"'),
    ("guide proximal", "", 'pull_to="inversion"'),
    ("guide proximal", "", "pull_below=1000"),
    ("guide proximal", "", "dilate=0"),
    ("guide proximal", "pull_below=0", "pull=1"),
    ("guide proximal", "quantile=0 pull_below=1000", "pull=1"),
    ("guide semantic", "quantile=0", "scale=1"),
    ("guide semantic", "quantile=0", "early=0"),
    ("guide semantic", 'mask="none"', "quantile=10%"),
    ("guide semantic", 'mask="noise"', "scale=1"),
    ("mask diffedit", "maps=1 ceiling=1", "clamp=1"),
    ("mask diffedit", "maps=1", "scale=1"),
)


@pytest.mark.thorough
def test_what_is_told_to_change_nothing_changes_nothing(tmp_path):
    world = tiny_world(tmp_path, 2)
    pairs: list[tuple[str, Graph, Graph]] = []
    for name, both, option in MOOT:
        card = INSTALLED.find(*name.split())
        assert card is not None
        plain, changed = (said(card, written((card,)), each) for each in (both, f"{both} {option}".lstrip()))
        checked = check(changed, world)
        told = [found.message for found in checked.diagnostics if found.code == "RT227"]
        assert any(message.startswith(f"'{option.partition('=')[0]}'") for message in told), changed
        pairs.append((changed, graph(world, plain, name), checked.graphs[0]))
    result = execute([each for _, *both in pairs for each in both], registry=INSTALLED)
    assert not any(outcome.failures for outcome in result.outcomes)
    for (text, *both), *made in zip(pairs, result.outcomes[::2], result.outcomes[1::2], strict=True):
        one, other = (picture(of, outcome.values) for of, outcome in zip(both, made, strict=True))
        assert torch.equal(one, other), text


def picture(of: Graph, values) -> torch.Tensor:
    """What the graph saves."""
    (saved,) = (node for node in of.nodes if node.card.output is None)
    return values[saved.inputs["image"].id].data
