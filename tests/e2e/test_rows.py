"""`plan` promises denoiser rows; a run counts them."""

from __future__ import annotations

import re
import shutil

import pytest

from retouch.check.reading.environment import installed_model
from retouch.graph.plan import plan
from retouch.paths import folder
from retouch.run.session import execute
from tests.e2e.sessions import INSTALLED, KEPT, graphs

RECIPES = sorted(folder("recipes").glob("*.retouch"))
# Of what a recipe leaves to defaults: how long its stages learn.  The sums of a plan are the same over fewer.
LEARNING = {"training_steps": ("tune imagic", "tune unitune", "tune sine"), "embedding_steps": ("tune imagic",)}
LONGER = {
    "iterations": ("tune dreambooth", "gan invert"),
    "class_pictures": ("tune dreambooth",),
    "tuning": ("gan invert",),
    "rounds": ("distil", "decode tuned"),
    "inner_steps": ("null_text",),
}
# Of what it says itself.  A few per cent of a walk are no step where it has only three.
SAID = ((r"\bsteps=\d+", "steps=3"), (r"\bseeds=\d+", "seeds=2"), (r"\blooks=\d+", "looks=1"))


def shortened(text: str) -> str:
    """The recipe with as many steps, candidates and looks as show what each costs."""
    for long, short in SAID if "strength=8%" not in text else ():
        text = re.sub(long, short, text)
    return text


def costs_what_is_planned(text, learning, here, find_model=installed_model):
    here = shutil.copytree(folder("recipes") / "pictures", here / "pictures").parent
    cat = here / "pictures" / "cat_meadow.png"
    walks = "invert" in text.replace("gan invert", "") or "distil" in text
    told = {"steps": 3} if walks and "schedule levels" not in text else {}
    told |= {name: 2 for name, stages in learning.items() if any(stage in text for stage in stages)}
    made = graphs(text, [cat], here, find_model, **told)
    result = execute(made, registry=INSTALLED, machine=KEPT)
    for graph, outcome in zip(made, result.outcomes, strict=True):
        assert not outcome.failures, outcome.failures
        assert outcome.files
        told = plan(graph).rows
        assert any(most for _, most in told.values()) == walks
        for node in graph.nodes:
            least, most = told[node.id]
            assert least <= outcome.rows[node.id] <= most, node.id


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_shipped_recipe_costs_what_its_plan_says(recipe, small, tmp_path):
    text = shortened(recipe.read_text())
    trained = "| require " in text  # of random weights nothing comes back
    costs_what_is_planned(text, LEARNING | LONGER, tmp_path, installed_model if trained else small)


@pytest.mark.bench
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_it_does_so_at_the_length_that_it_ships_with(recipe, tmp_path):
    costs_what_is_planned(recipe.read_text(), LEARNING, tmp_path)


def test_a_new_target_leaves_the_inversions_work_as_it_was(tmp_path):
    """Prompts have roles: what the inversion reads does not change with the target."""
    here = shutil.copytree(folder("recipes") / "pictures", tmp_path / "pictures").parent
    cat = here / "pictures" / "cat_meadow.png"
    targets = [graphs(f'invert null_text "cat"->"{what}"', [cat], here)[0] for what in ("dog", "rabbit")]
    one, two = (next(node for node in graph.nodes if node.card.family == "invert") for graph in targets)
    assert (one.inputs, one.options) == (two.inputs, two.options)
