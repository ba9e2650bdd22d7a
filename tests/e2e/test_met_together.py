"""Stages that seldom meet, run together: what is planned is what is counted, and nothing fails."""

from __future__ import annotations

from dataclasses import replace

import pytest

from retouch.check.check import check
from retouch.graph.plan import plan
from retouch.run.session import execute
from tests.e2e.sessions import INSTALLED, KEPT, tiny_world

CHOICE = "def a() = {} | require psnr min=60\ndef b() = {}\nfirst(a(), b())"
CAREFUL = ('invert flowedit "cat"->"dog" average=2', 'invert ddim "cat"->"dog" strength=70%')
TUNED = 'invert null_text "a dog" inner_steps=2 {} | guide '
EARLY, WHOLE = "stop=100%", "stop=0 stop_growth=0"
PAIRS = ('invert edict "cat"->"dog" strength=100%', 'invert negative_prompt "cat"->"dog" strength=50%')
RECIPES = [
    # A rule that asks for several rows of a branch at a step, and for one at another, beside maps that are read.
    'invert flowedit "cat"->"dog" average=2 strength=100% | blend local start=0',
    'invert flowedit "cat"->"dog" until=40% strength=100% | blend local start=0',
    'tiles multidiffusion | invert flowedit "cat"->"dog" average=2 until=40% strength=100% | blend local start=0',
    # A choice costs what the way costs that it came to, dear or cheap.
    CHOICE.format(*CAREFUL),
    CHOICE.format(*reversed(CAREFUL)),
    CHOICE.format(*PAIRS) + " | attend p2p",
    CHOICE.format(*reversed(PAIRS)) + " | attend p2p | blend local start=0",
    # What is tuned under a guidance asks for its rows, but for that of the prompt itself, where there is one.
    *(
        TUNED.format(how) + guide
        for guide in ('semantic add=["a hat"]', 'pix2pix_zero moves="rows"', "proximal pull=1")
        for how in (EARLY, WHOLE)
    ),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return replace(tiny_world(tmp_path_factory.mktemp("met"), steps=3), force=True)


@pytest.mark.parametrize("recipe", RECIPES)
def test_they_run_at_the_planned_cost(recipe, world):
    checked = check(recipe, world)
    assert not checked.errors, [found.message for found in checked.errors]
    (graph,) = checked.graphs
    (outcome,) = execute(checked.graphs, registry=INSTALLED, machine=KEPT).outcomes
    assert not outcome.failures, outcome.failures
    for node in graph.nodes:
        least, most = plan(graph).rows[node.id]
        assert least <= outcome.rows.get(node.id, 0) <= most, node.id
