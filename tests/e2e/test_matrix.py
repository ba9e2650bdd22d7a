"""The matrix cannot lie: every pair that is marked as working is run, and compared with itself without each method."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch

from retouch.check.check import check
from retouch.check.matrix import (
    FAMILIES,
    UNPAIRED,
    Verdict,
    idle_pairs,
    judged,
    methods,
    pairs,
    triples,
    unpaired,
    written,
)
from retouch.check.reading.environment import Environment, installed_model
from retouch.cli.commands.matrix import all_pairs, page
from retouch.graph.nodes import FromNode, Graph
from retouch.paths import folder
from retouch.plugins.registry import Registry
from retouch.plugins.signatures.signature import StageCard
from retouch.run.loaded.loaded_model import Machine
from retouch.run.session import execute
from tests.e2e.ablation import without
from tests.e2e.sessions import INSTALLED, tiny_world
from tests.families.lora_files import kohya, some

pytestmark = pytest.mark.thorough

STEPS = 3  # the fewest in which a solver of second order has a step of its own
SEEDS = (0, 1, 2, 3)
FEW = " inner_steps=2"  # of ten, each of which costs as much as three steps; that it acts shows in two
# Without the others the maps of a random network say too little for the method to act.
SAID = {
    "invert null_text": FEW.strip(),
    "invert sdedit": "strength=100%",
    "invert edit_friendly": "strength=100%",
    "guide image_text": "looks=1",
    "blend local": "threshold=95% start=0",
    "mask attention": "threshold=60%",
    "mask diffedit": "threshold=40%",
}
SEEN = 1e-3  # of a colour's range: rounding in other company is below a tenth of it, the weakest method above thrice


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return tiny_world(tmp_path_factory.mktemp("matrix"), STEPS)


@pytest.fixture(scope="session")
def shipped() -> dict[str, Verdict]:
    """What `retouch matrix` says of what is installed."""
    world = Environment(INSTALLED, folder("recipes"), find_model=cache(installed_model))
    return {verdict.name: verdict for verdict in all_pairs(world)}


def ended_well(verdicts: Iterable[Verdict], beside: Iterable[Graph] = ()) -> list[torch.Tensor]:
    """Run all that work as one, and other graphs beside them; says which do not.  The pictures, in their order."""
    works = [verdict for verdict in verdicts if not verdict.code]
    graphs = [graph for verdict in works for graph in verdict.graphs]
    assert len(graphs) == len(works)
    graphs += beside
    result = execute(graphs, registry=INSTALLED)
    names = [verdict.name for verdict in works] + ["a recipe without one of a pair"] * (len(graphs) - len(works))
    told = [
        f"{name}: {outcome.failures[0].message}"
        for name, outcome in zip(names, result.outcomes, strict=True)
        if outcome.failures
    ]
    assert not told, "\n".join(told)
    assert all(outcome.files for outcome in result.outcomes)
    return [saved(graph, outcome.values) for graph, outcome in zip(graphs, result.outcomes, strict=True)]


def saved(graph: Graph, values: Mapping[str, Any]) -> torch.Tensor:
    """What the graph saves."""
    (sink,) = (node for node in graph.nodes if node.card.output is None)
    edge = sink.inputs["image"]
    assert isinstance(edge, FromNode)
    return values[edge.id].data


def graph_of(recipe: str, world: Environment) -> Graph:
    found = check(recipe, world)
    assert not found.errors, (recipe, [error.message for error in found.errors])
    return found.graphs[0]


def idle_among(verdicts: Iterable[Verdict], world: Environment) -> dict[str, str]:
    """Of pairs that run, those of which one method changes nothing, and which it is."""
    works = [verdict for verdict in verdicts if not verdict.code]
    trials = [
        (i, card.name, recipe)
        for i, verdict in enumerate(works)
        for card in verdict.stages
        if (recipe := without(verdict.recipe, card, verdict.stages)) is not None
    ]
    trials = [(i, name, text if "null_text" in text else text.replace(FEW, "")) for i, name, text in trials]
    plain = {recipe: graph_of(recipe, world) for _, _, recipe in trials}
    pictures = ended_well(works, plain.values())
    bare = dict(zip(plain, pictures[len(works) :], strict=True))
    return {
        works[i].name: name for i, name, recipe in reversed(trials) if (pictures[i] - bare[recipe]).abs().max() < SEEN
    }


def some_of_each(few: int) -> list[tuple[StageCard, ...]]:
    """Pairs in which every method stands at least so often, or as often as it can; always the same."""
    asked, often = list[tuple[StageCard, ...]](), Counter[str]()
    for stages in sorted(pairs(INSTALLED), key=lambda stages: sha256(Verdict(stages, "").name.encode()).digest()):
        if any(often[card.name] < few for card in stages):
            asked.append(stages)
            often.update(card.name for card in stages)
    return asked


def idle_everywhere(here: Path, among: Sequence[tuple[StageCard, ...]]) -> dict[str, str]:
    """Pairs of which a method changes nothing in any of a few random models: in one, its mask may be full or empty."""
    idle: dict[str, str] | None = None
    for seed in SEEDS:
        (folder := here / str(seed)).mkdir()
        world = tiny_world(folder, STEPS, seed)
        asked = [stages for stages in among if idle is None or Verdict(stages, "").name in idle]
        found = idle_among([judged(stages, world, SAID) for stages in asked], world)
        idle = found if idle is None else {name: idle[name] for name in idle if name in found}
    return idle or {}


def test_pairs_that_are_marked_as_working_work_and_both_of_each_act(tmp_path):
    """One of each method at least; `make bench` runs all, which takes minutes."""
    some = some_of_each(1)
    names = {Verdict(stages, "").name for stages in some}
    assert idle_everywhere(tmp_path, some) == {name: why for name, why in idle_pairs().items() if name in names}


@pytest.mark.bench
def test_every_pair_that_is_marked_as_working_works_and_both_of_it_act(tmp_path):
    """After a change that is meant: `python -m tests.e2e.test_matrix`, and the page anew."""
    assert idle_everywhere(tmp_path, [*pairs(INSTALLED)]) == idle_pairs()


def test_the_marks_are_those_of_the_shipped_recipes(tiny, shipped):
    """Of the pairs that are run here; `make bench` compares all."""
    for stages in some_of_each(2):
        found = judged(stages, tiny)
        assert found.code == shipped[found.name].code, found.name
    assert sum(v.works for v in shipped.values()) > 300


@pytest.mark.bench
def test_all_marks_are_those_of_the_shipped_recipes(tiny, shipped):
    assert [(v.name, v.code) for v in all_pairs(tiny)] == [(v.name, v.code) for v in shipped.values()]


def test_a_method_that_changes_nothing_is_found(tiny, shipped):
    """A control over none of the steps, and the same one over some."""
    stages = shipped["invert ddim + attend p2p"].stages
    off, on = "cross_replace=0 self_replace=0", "cross_replace=1% self_replace=0"
    marks = [idle_among([judged(stages, tiny, {"attend p2p": each})], tiny) for each in (off, on)]
    assert marks == [{"invert ddim + attend p2p": "attend p2p"}, {}]


def test_what_a_pair_is_compared_with_lacks_one_method_and_keeps_the_other(shipped):
    for verdict in shipped.values():
        for card, other in (verdict.stages, verdict.stages[::-1]):
            recipe = without(verdict.recipe, card, verdict.stages) if not verdict.code else None
            if recipe is not None and card.name not in ("mask box", "mask union"):  # which stand in for others
                assert f"{card.name} " not in f"{recipe} ", recipe
                assert other.name in recipe or card.family == "blend", "a mask goes with the blend that alone reads it"
                assert ("paste" in recipe) == ("crop" in recipe)


def test_a_pair_that_is_marked_wrongly_is_found(tiny, shipped):
    """Were a recipe that fails marked as working, the run would say so."""
    works = judged(shipped["invert ddim + mask attention"].stages, tiny)
    (graph,) = works.graphs
    nodes = tuple(
        replace(node, options={**node.options, "words": ("dinosaur",)}) if node.card.method == "attention" else node
        for node in graph.nodes
    )
    with pytest.raises(AssertionError, match=r"invert ddim \+ mask attention: .*dinosaur"):
        ended_well([replace(works, graphs=(replace(graph, nodes=nodes),))])


def test_the_page_is_up_to_date(shipped):
    """After a change: `retouch matrix -o recipes/MATRIX.md`."""
    text = (folder("recipes") / "MATRIX.md").read_text("utf-8")
    assert page(list(shipped.values())) == text
    assert str(folder("recipes").parent) not in text  # a page that names this folder is right nowhere else


def test_every_family_has_rows_or_the_page_says_why_not(shipped):
    """That of a plugin too, whose method joins those of its family, or makes a family that nobody can pair."""
    stages = (card for verdict in shipped.values() for card in verdict.stages)
    paired = {card.family for card in stages}
    assert paired == {*FAMILIES}
    assert paired | unpaired(INSTALLED).keys() == {card.family for card in INSTALLED.cards}
    assert set(UNPAIRED) <= unpaired(INSTALLED).keys(), "a reason for a family that is not there"
    own = [why for family, why in unpaired(INSTALLED).items() if family not in UNPAIRED]
    assert all(why.startswith("is a family of ") for why in own), own
    mine = replace(INSTALLED.find("invert", "ddim"), family="weave", method="warp", plugin="loom", default=False)
    theirs = replace(INSTALLED.find("solver", "heun"), method="wheel", plugin="loom")
    more = Registry((*INSTALLED.cards, mine, theirs))
    assert unpaired(more)["weave"] == "is a family of 'loom's own"
    assert {tuple(card.name for card in pair) for pair in pairs(more)} >= {("invert ddim", "solver wheel")}


def test_a_window_is_cut_round_the_mask_before_all_else(shipped):
    assert (
        shipped["invert ddim + crop window"].recipe
        == 'mask box right=70% | crop window | invert ddim "cat"->"dog" | paste\n'
    )
    assert "| crop window | invert ddim" in shipped["blend latent + crop window"].recipe
    assert shipped["mask attention + crop window"].recipe.startswith("mask attention ")


def test_refusals_say_why_and_name_a_code(shipped):
    unread, unconnected = shipped["mask box + blend local"], shipped["blend pixel + blend latent"]
    assert (unread.code, unread.reason) == ("RT221", "beside 'blend local' nothing reads the mask")
    assert unconnected.code == "RT319"
    for verdict in shipped.values():
        assert bool(verdict.code) == bool(verdict.reason)
        assert bool(verdict.graphs) != bool(verdict.code)
        assert all(card.name in verdict.recipe for card in verdict.stages)


def test_controls_that_clash_go_together_where_their_parts_are_kept_apart(shipped):
    apart = shipped["attend p2p + attend pnp_features"]
    assert apart.only_with == "attend p2p self_replace=0"
    assert "self_replace=0" in apart.recipe
    assert "self_replace" not in written(apart.stages)


def parted(recipe: str) -> tuple[str, str]:
    """What stands before the last flow, and that flow."""
    *lines, flow = recipe.splitlines(keepends=True)
    return "".join(lines), flow


@pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.bench)])
def test_a_lora_for_a_turn_goes_with_every_method_and_acts_beside_each(tiny, every):
    """It is loaded from a file of one's own, so it makes no row.  Every third method; `make bench` tries all."""
    net = Machine(tiny.find_model(tiny.model, None), "cpu", torch.float32).denoiser.core.base
    kohya(some(net)).to(tiny.folder / "style.safetensors")
    alone = [card for family in FAMILIES for card in methods(INSTALLED, family)]
    plain = [one for card in alone if not (one := judged((card,), tiny, SAID)).code]
    assert len(plain) > 35
    plain = plain[::every]
    tuned = ['tune lora "style.safetensors" | '.join(parted(one.recipe)) for one in plain]
    beside = [graph_of(text, tiny) for text in tuned]
    pictures = ended_well(plain, beside)
    for one, before, after in zip(plain, pictures[: len(plain)], pictures[len(plain) :], strict=True):
        assert (before - after).abs().max() > SEEN, one.name


@pytest.mark.bench
def test_every_three_that_are_marked_as_working_work(tiny):
    assert len(ended_well([judged(stages, tiny) for stages in triples(INSTALLED)])) > 300


if __name__ == "__main__":
    with TemporaryDirectory() as temporary:
        idle = idle_everywhere(Path(temporary), [*pairs(INSTALLED)])
        lines = sorted(f"{pair}: {method}\n" for pair, method in idle.items())
    (folder("recipes") / "idle_pairs.txt").write_text("".join(lines), "utf-8")
