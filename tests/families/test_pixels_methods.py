"""Methods on models of pixels: what each costs, keeps and changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import retouch
from retouch.core.awaited.combinators import together
from retouch.graph.plan import plan
from retouch.run.executor import run
from retouch.testing import laws
from retouch.testing.worlds import World
from retouch_methods.attend.background import background
from retouch_methods.attend.masactrl import masactrl
from retouch_methods.attend.pnp_features import pnp_features
from tests.families.family_models import FamilyModel, far
from tests.families.pixel_models import PICTURE, two_pictures, world
from tests.families.tiny_families import PIXELS

pytestmark = pytest.mark.usefixtures("two_rows")


@pytest.fixture(params=PIXELS)
def model(request: pytest.FixtureRequest, model_of: Callable[[str], FamilyModel]) -> FamilyModel:
    """Each kind of model in turn."""
    return model_of(request.param)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pictures, without captions."""
    return two_pictures(tmp_path_factory.mktemp("pictures"))


INVERSIONS = {
    "ddim": "invert ddim",
    "ddim, fixed point": 'invert ddim convention="fixed_point"',
    "direct": "invert direct",
    "sdedit": "invert sdedit strength=50%",
    "edict": "invert edict strength=75%",
    "edit_friendly": "invert edit_friendly strength=75%",
    "cycle_diffusion": "invert cycle_diffusion strength=75%",
    "fixed_point": "invert fixed_point",
    "pnp_inversion": "invert pnp_inversion",
    "uniinv": "invert uniinv",
    "flowedit": "invert flowedit",
}
EXACT = ("edict", "edit_friendly", "cycle_diffusion", "flowedit")  # come back to the source, whatever the model


@pytest.mark.parametrize("inversion", INVERSIONS)
def test_an_inversion_runs_costs_what_it_says_and_changes_nothing_outside(
    inversion: str, model_of: Callable[[str], FamilyModel], folder: Path
):
    """Without a word, in a mask, at a size of no multiple: rows as planned, and the same bits in company."""
    text = f"mask box left=25% right=75% | {INVERSIONS[inversion]} | blend latent | blend pixel"
    recipe = retouch.recipe(
        f'model "{model_of("guided").folder}"\ndefaults steps=4 seed=1\n{text}',
        folder,
        allow=[model_of("guided").folder],
    )
    pictures = [folder / "one.png", folder / "two.png"]
    results = recipe(pictures, exact=True)
    for path, made in zip(pictures, results, strict=True):
        outside = made.mask.pixels(*PICTURE).numpy() == 0
        assert 0 < outside.mean() < 1
        assert np.array_equal(np.asarray(Image.open(path))[outside], np.asarray(made.image)[outside])
        (graph,) = recipe.graphs(path)
        least, most = plan(graph).total
        assert least <= made.cost <= most
    alone = recipe(pictures[1], exact=True)
    assert np.array_equal(np.asarray(alone.image), np.asarray(results[1].image))


@pytest.mark.parametrize("inversion", EXACT)
def test_what_is_exact_on_any_model_gives_a_picture_back_byte_for_byte(
    inversion: str, model: FamilyModel, folder: Path
):
    """There is no codec to lose anything, and nothing is to change."""
    text = f'model "{model.folder}"\ndefaults steps=4\n{INVERSIONS[inversion]}'
    made = retouch.recipe(text, folder, allow=[model.folder])(folder / "one.png")
    away = np.abs(np.asarray(made.image).astype(int) - np.asarray(Image.open(folder / "one.png")))
    assert away.max() <= (1 if inversion == "edit_friendly" else 0)


MASKS = (
    "mask box right=50%",
    'mask color "#808080" tolerance=50%',
    'mask file "mask.png"',
    "mask box top=40% | mask invert",
)
SCHEDULES = ("schedule karras", "schedule trailing", "schedule leading", "schedule linspace", "schedule exponential")
SOLVERS = ("solver ddim", "solver ddim clip=1", "solver ddpm", "solver ddpm clip=1", "solver heun", "solver dpmpp")
CONTROLS = ("attend masactrl start=0", "attend pnp_features", "attend background")
CROSSED = [
    *(f"{mask} | invert sdedit strength=75% | blend latent" for mask in MASKS),
    *(f"{schedule} | mask box left=25% right=75% | invert ddim | blend latent" for schedule in SCHEDULES),
    *(f"mask box left=25% right=75% | invert sdedit | {solver} | blend latent" for solver in SOLVERS),
    *(f"mask box left=25% right=75% | invert edict | {control} | blend latent" for control in CONTROLS),
    "mask box left=25% right=75% | mask feather pixels=4 | invert sdedit | blend latent shrink=4",
    'mask box left=25% right=75% | invert sdedit | blend pixel seam="poisson"',
    "mask box right=50% | crop size=16 | invert edit_friendly strength=50% | blend latent | blend pixel | paste",
]


@pytest.mark.parametrize("text", CROSSED)
def test_masks_schedules_solvers_controls_and_windows_run(
    text: str, model_of: Callable[[str], FamilyModel], folder: Path
):
    """Each ends, changes something, and changes nothing outside of its mask."""
    Image.fromarray(np.pad(np.full((8, 8), 255, np.uint8), ((5, 6), (7, 7)))).save(folder / "mask.png")
    end = "" if "blend pixel" in text else " | blend pixel"
    recipe = retouch.recipe(
        f'model "{model_of("velocity").folder}"\ndefaults steps=4\n{text}{end}',
        folder,
        allow=[model_of("velocity").folder],
    )
    made, before = recipe(folder / "one.png"), np.asarray(Image.open(folder / "one.png"))
    changed_ = (np.asarray(made.image) != before).any(-1)
    inside = np.arange(PICTURE[1])[None] < 11 if "crop" in text else made.mask.pixels(*PICTURE).numpy() > 0
    assert not (changed_ & ~inside).any()
    assert changed_.any() == ("edict" not in text)  # which brings the source back, as long as nothing is to change


def test_controls_keep_their_laws_and_act(model: FamilyModel):
    """The source's content, shapes and pixels, at sites of attention that knows no words."""
    made, coarsest = world(model), model.known.stages["attend masactrl"]["coarsest"]
    lower = {"mask": made.mask}
    for stage, options in (
        (masactrl, {"start": 0.0, "coarsest": coarsest}),
        (masactrl, {"start": 0.0, "coarsest": coarsest, "masked": True, **lower}),
        (pnp_features, {}),
        (background, {}),
    ):
        laws.touch_law(stage, made, **options)
        acted, plain = (target(made, controls) for controls in ((made.call(stage, **options),), ()))
        assert far(acted, plain) > 1e-4


def target(made: World, controls: Any) -> torch.Tensor:
    """The target's prediction beside another source's."""
    step = made.schedule.steps[1]
    rows = together(
        attention=controls,
        step=step,
        source=together(cond=made.model(made.latents.data, step.noisy, made.edit.source)),
        target=together(cond=made.model(made.latents.data.flip(-1), step.noisy, made.edit.target)),
    )
    return run(rows)[0]["target"]["cond"].pair


def test_where_a_class_becomes_another_words_masks_and_guidance_work(
    model_of: Callable[[str], FamilyModel], folder: Path
):
    """Prompts that are numbers: DiffEdit was published on such a model."""
    text = (
        'invert ddim "1"->"3" strength=75% | mask diffedit maps=2 | guide cfg guidance=2 | blend latent | blend pixel'
    )
    recipe = retouch.recipe(
        f'model "{model_of("classes").folder}"\ndefaults steps=4\n{text}', folder, allow=[model_of("classes").folder]
    )
    made, before = recipe(folder / "one.png"), np.asarray(Image.open(folder / "one.png"))
    changed_, inside = (np.asarray(made.image) != before).any(-1), made.mask.pixels(*PICTURE).numpy() > 0
    assert changed_.any()
    assert not changed_[~inside].any()
