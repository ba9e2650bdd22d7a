"""The matrix cannot lie: every pair that is marked as working is run, all of them at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
from models.tiny_folder import three_levels
from sessions import INSTALLED

from retouch.check.matrix import CAPTION, MASK, Verdict, judged, triples, written
from retouch.check.reading.environment import Environment
from retouch.cli.matrix import all_pairs, page
from retouch.paths import folder
from retouch.run.session import execute
from retouch_storybook.world import Scene, render

STEPS = 3


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """A small random model with the sites of the embedded one, and a picture of 32 pixels with its mask."""
    here = tmp_path_factory.mktemp("matrix")
    three_levels().save_pretrained(here / "tiny")
    (here / "pictures").mkdir()
    picture = render(Scene("cat", "orange", "in a meadow", seed=4), 64).resize((32, 32))
    picture.save(here / "pictures" / "cat_meadow.png")
    picture.convert("L").point(lambda grey: 255 * (grey < 150)).save(here / MASK)
    return Environment(
        INSTALLED, here, settings={"steps": str(STEPS)}, model=str(here / "tiny"), output=here / "out", allowed=(here,)
    )


def ended_well(verdicts: Iterable[Verdict]) -> int:
    """Run all that work as one; says which do not."""
    works = [verdict for verdict in verdicts if not verdict.code]
    graphs = [graph for verdict in works for graph in verdict.graphs]
    assert len(graphs) == len(works)
    result = execute(graphs, registry=INSTALLED, keep=False)
    told = [
        f"{verdict.name}: {outcome.failures[0].message}"
        for verdict, outcome in zip(works, result.outcomes, strict=True)
        if outcome.failures
    ]
    assert not told, "\n".join(told)
    assert all(outcome.files for outcome in result.outcomes)
    return len(graphs)


def test_every_pair_that_is_marked_as_working_works(tiny):
    verdicts = all_pairs(tiny)
    shipped = all_pairs(Environment(INSTALLED, folder("recipes")))
    assert [(v.name, v.code) for v in verdicts] == [(v.name, v.code) for v in shipped]
    assert ended_well(verdicts) > 300


def test_a_pair_that_is_marked_wrongly_is_found(tiny):
    """Were a recipe that fails marked as working, the run would say so."""
    works = next(v for v in all_pairs(tiny) if v.name == "invert ddim + mask attention")
    (graph,) = works.graphs
    nodes = tuple(
        replace(node, options={**node.options, "words": ("dinosaur",)}) if node.card.method == "attention" else node
        for node in graph.nodes
    )
    with pytest.raises(AssertionError, match=r"invert ddim \+ mask attention: .*dinosaur"):
        ended_well([replace(works, graphs=(replace(graph, nodes=nodes),))])


def test_the_page_is_up_to_date():
    """After a change: `retouch matrix -o recipes/MATRIX.md`."""
    shipped = (folder("recipes") / "MATRIX.md").read_text("utf-8")
    assert page(all_pairs(Environment(INSTALLED, folder("recipes")))) == shipped


def test_refusals_say_why_and_name_a_code():
    verdicts = {v.name: v for v in all_pairs(Environment(INSTALLED, folder("recipes")))}
    unread, unconnected = verdicts["mask box + blend local"], verdicts["blend pixel + blend latent"]
    assert (unread.code, unread.reason) == ("RT221", "beside 'blend local' nothing reads the mask")
    assert unconnected.code == "RT301"
    for verdict in verdicts.values():
        assert bool(verdict.code) == bool(verdict.reason)
        assert bool(verdict.graphs) != bool(verdict.code)
        assert all(card.name in verdict.recipe for card in verdict.stages)


def test_controls_that_clash_go_together_where_their_parts_are_kept_apart():
    verdicts = {v.name: v for v in all_pairs(Environment(INSTALLED, folder("recipes")))}
    apart = verdicts["attend p2p + attend pnp_features"]
    assert apart.only_with == "attend p2p self_replace=0"
    assert "self_replace=0" in apart.recipe
    assert "self_replace" not in written(apart.stages)


@pytest.mark.bench
def test_every_three_that_are_marked_as_working_work(tiny):
    picture = tiny.folder / "pictures" / "cat_meadow.png"
    world = replace(tiny, pictures=(replace(tiny.pictures[0], path=picture, caption=CAPTION, known=True),))
    verdicts = [judged(stages, world) for stages in triples(INSTALLED)]
    assert ended_well(verdicts) > 300
