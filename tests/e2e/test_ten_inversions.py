"""Every installed inversion goes through one `sample`, under a control and two blends; none is known by name."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import retouch
import retouch_methods.sample.sample as sampling
from retouch.graph.plan import plan
from retouch.paths import folder
from retouch.run.session import execute
from tests.e2e.sessions import INSTALLED, KEPT, graphs

INVERSIONS = [  # of those that work on the embedded model, which is no flow
    card.method
    for card in INSTALLED.cards
    if card.output == "Trajectory" and card.family == "invert" and (not card.predicts or "epsilon" in card.predicts)
]
OPTIONS = {"null_text": "inner_steps=1"}
SURVEY = {
    "ddim", "sdedit", "null_text", "negative_prompt", "pnp_inversion", "direct",
    "edict", "cycle_diffusion", "edit_friendly", "fixed_point",
}  # fmt: skip


@pytest.fixture(scope="module")
def edited(tmp_path_factory):
    """All inversions of one picture in one run: their graphs, what became of them, the picture, and the results."""
    here = tmp_path_factory.mktemp("ten")
    shutil.copytree(folder("recipes") / "pictures", here / "pictures")
    cat = here / "pictures" / "cat_meadow.png"
    made = [
        graphs(
            f'invert {method} {OPTIONS.get(method, "")} | attend p2p "cat"->"dog" cross_replace=50%\n'
            "  | mask box left=40% top=28% right=98% bottom=92% | blend latent | blend pixel\n"
            f'  | save "{method}.png"',
            [cat],
            here,
            steps=4,
        )[0]
        for method in INVERSIONS
    ]
    result = execute(made, registry=INSTALLED, machine=KEPT)
    files = {method: outcome.files for method, outcome in zip(INVERSIONS, result.outcomes, strict=True)}
    assert not any(outcome.failures for outcome in result.outcomes), [o.failures for o in result.outcomes]
    pictures = {method: np.asarray(Image.open(paths[0]).convert("RGB")) for method, paths in files.items()}
    return made, result, np.asarray(Image.open(cat).convert("RGB")), pictures


def test_the_ten_of_the_survey_are_there():
    assert set(INVERSIONS) >= SURVEY


@pytest.mark.thorough
def test_all_of_them_go_through_one_sample(edited):
    made, *_ = edited
    samples = {(n.card.module, n.card.function) for graph in made for n in graph.nodes if n.card.family == "sample"}
    assert samples == {("retouch_methods.sample.sample", "sample")}
    for graph in made:
        families = [node.card.family for node in graph.nodes]
        assert families.count("sample") == families.count("attend") == 1
        assert families.count("blend") == 2


@pytest.mark.parametrize("method", INVERSIONS)
def test_outside_the_mask_not_one_byte_changes_and_inside_something_does(method, edited):
    _, _, source, pictures = edited
    changed = (pictures[method] != source).any(axis=2)
    height, width = changed.shape
    box = np.zeros_like(changed)
    box[round(0.28 * height) : round(0.92 * height), round(0.4 * width) : round(0.98 * width)] = True
    assert not changed[~box].any()
    assert changed[box].mean() > 0.1


def test_inversions_differ(edited):
    """Free and pinned DDIM are one walk where a blend pins both, so pairs may agree; all of them do not."""
    pictures = edited[3]
    assert len({picture.tobytes() for picture in pictures.values()}) >= len(INVERSIONS) - 3


def test_each_costs_what_the_plan_says(edited):
    made, result, *_ = edited
    for graph, outcome in zip(made, result.outcomes, strict=True):
        for id_, (least, most) in plan(graph).rows.items():
            assert least <= outcome.rows[id_] <= most, id_


def test_neither_the_sampler_nor_the_engine_knows_an_inversion_by_name():
    """No text in their code, docstrings aside, is the name of one; nor does the sampler ask what a rule is."""
    engine = [path for path in Path(retouch.__file__).parent.rglob("*.py") if "testing" not in path.parts]
    sampler = Path(sampling.__file__)
    assert len(engine) > 80
    for path in [*engine, sampler]:
        tree = ast.parse(path.read_text())
        texts = {
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        if path.name == "meant_options.py":
            texts.remove("negative_prompt")  # as diffusers calls an option
        assert not texts & set(INVERSIONS), path
    names = {node.id for node in ast.walk(ast.parse(sampler.read_text())) if isinstance(node, ast.Name)}
    assert not names & {"isinstance", "type", "getattr", "hasattr"}
