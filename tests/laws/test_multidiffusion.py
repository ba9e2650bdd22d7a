"""One walk over latents larger than the model: windows that agree at every step."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image as Picture

import retouch
from retouch.api import (
    Canvas,
    Ddim,
    Latents,
    Mask,
    ModelDelta,
    Windows,
    mixed,
    predictor,
    seen_through,
    tile_grid,
    tile_ramp,
    together,
    unguided,
    value_and_grad,
)
from retouch.core.declared.touches import Touch
from retouch.graph.plan import plan
from retouch.testing.laws import stage_laws
from retouch.testing.laws.running import ended, run_one, sampled
from retouch.testing.tiny import Draws
from retouch.testing.worlds import World, tiny_world
from retouch_methods.attend.masactrl import masactrl
from retouch_methods.attend.p2p import p2p
from retouch_methods.blend.latent import latent
from retouch_methods.invert.ddim import ddim
from retouch_methods.invert.edit_friendly import edit_friendly
from retouch_methods.invert.sdedit import sdedit
from retouch_methods.tiles.multidiffusion import multidiffusion

WORLD = tiny_world(steps=3)
CORES = Windows(side=8, overlap=4, unit=2)


def wide_world(height: int = 8, width: int = 20) -> World:
    latents = Latents(Draws(5).tensor(4, height, width), Canvas(height * 4, width * 4, 4))
    return replace(WORLD, latents=latents, model=seen_through(WORLD.model, CORES), mask=None)


def test_it_keeps_the_laws() -> None:
    assert "windows_law" in stage_laws(multidiffusion)
    stage_laws(multidiffusion, size=32, overlap=0.25)


@pytest.mark.parametrize("invert", [ddim, edit_friendly, sdedit])
def test_where_one_window_holds_all_the_walk_is_that_without_bit_for_bit(invert) -> None:
    seen = replace(WORLD, model=ended(WORLD.call(multidiffusion)))
    plain, through = (sampled(each, ended(each.call(invert))).data for each in (WORLD, seen))
    assert torch.equal(plain, through)


def test_a_walk_is_the_papers() -> None:
    """Eq. 5 as it is printed: each window takes its own step, and what they come to is averaged by weight."""
    world = wide_world(12, 20)
    x = wanted = Draws(9).tensor(4, 12, 20)
    predict = predictor(unguided, world.model, world.edit.target, world.edit.negative)
    boxes = tile_grid((12, 20), CORES.side, CORES.overlap, CORES.unit)
    assert len(boxes) == 8
    for step in world.schedule:
        (x,) = run_one(Ddim()(x[None], step, predict))
        total, weight = torch.zeros_like(wanted), torch.zeros(12, 20)
        for box in boxes:
            pred = run_one(WORLD.model(box.of(wanted), step.noisy, world.edit.target))
            moved = step.clean.alpha * pred.x0 + step.clean.sigma * pred.eps  # the window's own step
            share = tile_ramp(box, (12, 20), CORES.overlap, wanted)
            box.of(total).add_(moved * share)
            box.of(weight).add_(share)
        wanted = total / weight
        assert torch.allclose(x, wanted, atol=1e-5)


@pytest.mark.parametrize("invert", [ddim, edit_friendly, sdedit])
def test_inversions_walk_back_to_the_picture_through_windows(invert) -> None:
    world = replace(wide_world().null_edit(), guidance=unguided)
    options = {"source_guidance": 1.0} if invert is edit_friendly else {}
    walked = sampled(world, ended(world.call(invert, **options))).data
    assert walked.shape == world.latents.data.shape
    if invert is edit_friendly:  # which is exact
        assert torch.allclose(walked, world.latents.data, atol=1e-4)


def test_blends_and_masks_work_on_all_of_it() -> None:
    world = wide_world()
    area = torch.zeros(32, 80)
    area[:, 40:] = 1
    made = ended(world.call(sdedit))
    keep = world.call(latent, mask=Mask(area))
    walked = sampled(world, made, blend=(keep,)).data
    assert torch.equal(walked[..., :10], world.latents.data[..., :10])
    assert not torch.allclose(walked[..., 12:], world.latents.data[..., 12:])


@pytest.mark.parametrize("control", [p2p, masactrl])
def test_a_control_joins_source_and_target_of_each_window_alone(control) -> None:
    """What a control makes of one window is what it makes of that window by itself."""
    world = wide_world()
    attend = ended(world.call(control, mask=None) if control is masactrl else world.call(control))
    step, edit = world.schedule.steps[0], world.edit
    x, y = world.latents.data, Draws(11).tensor(*world.latents.data.shape)

    def both(model, x, y):
        branches = {"source": model(x, step.noisy, edit.source), "target": model(y, step.noisy, edit.target)}
        return run_one(together(attention=(attend,), step=step, **branches))["target"].pair

    wanted = torch.zeros(2, *x.shape)
    for pane in CORES.panes(x):
        pane.box.of(wanted).add_(both(WORLD.model, pane.box.of(x), pane.box.of(y)) * pane.share)
    assert torch.allclose(both(world.model, x, y), wanted, atol=1e-5)


def test_recorded_maps_lie_where_their_windows_do_and_count_once() -> None:
    world, touch = wide_world(), Touch("cross", "read", "maps", scale=(1, 1))
    step, prompt = world.schedule.steps[0], world.edit.source
    x = world.latents.data

    def maps(model, x):
        done = run_one(together(record=(touch,), step=step, source=model(x, step.noisy, prompt)))
        return done.maps[0].of("source")

    found = maps(world.model, x).unflatten(0, (8, 20))
    assert torch.allclose(found.sum(-1), torch.ones(8, 20), atol=1e-5)  # each is a distribution over the words
    left = maps(WORLD.model, x[..., :8]).unflatten(0, (8, 8))
    assert torch.allclose(found[:, :4], left[:, :4], atol=1e-5)


def test_gradients_go_through_windows() -> None:
    world = wide_world()
    step, prompt = world.schedule.steps[0], world.edit.source

    async def loss(x):
        return (await world.model(x, step.noisy, prompt)).x0.square().sum()

    x, towards = world.latents.data, torch.randn(4, 8, 20, generator=torch.Generator().manual_seed(2))
    (slope,) = run_one(value_and_grad(loss, x)).grads
    ahead, back = (float(run_one(loss(x + sign * 1e-2 * towards))) for sign in (1, -1))
    assert (ahead - back) / 2e-2 == pytest.approx(float((slope * towards).sum()), rel=2e-2)


def test_weights_may_be_tuned_and_mixed_before_windows_and_behind() -> None:
    other = ModelDelta({"conv_out.bias": torch.ones(4)})
    plain, x = WORLD.model, wide_world().latents.data
    mix = mixed(plain.tuned(other), plain, 0.5)
    windowed = seen_through(plain, CORES)
    step, prompt = WORLD.schedule.steps[0], WORLD.edit.source
    before = seen_through(mix, CORES)
    behind = mixed(windowed.tuned(other), windowed, 0.5)
    one, two = (run_one(model(x, step.noisy, prompt)).pair for model in (before, behind))
    assert torch.allclose(one, two, atol=1e-6)
    assert not torch.allclose(one, run_one(windowed(x, step.noisy, prompt)).pair)
    assert len(windowed.untuned().windows.panes(x)) == 4


RECIPES = {
    "edit": ('tiles multidiffusion | invert edit_friendly "cat"->"dog" steps=2 | blend latent', True),
    "panorama": ('tiles multidiffusion overlap=25% | invert sdedit strength=100% steps=2 begin="noise"', False),
}


@pytest.mark.parametrize("name", RECIPES)
def test_panoramas_take_the_rows_that_the_plan_says(name: str, tmp_path: Path) -> None:
    text, masked = RECIPES[name]
    path = tmp_path / "wide.png"
    Picture.new("RGB", (256, 64), (120, 190, 240)).save(path)
    recipe = retouch.recipe(("mask box right=50% | " if masked else "") + text, tmp_path)
    (graph,) = recipe.graphs(path, caption="a cat in a meadow")
    made = recipe(path, caption="a cat in a meadow")
    least, most = plan(graph).total
    assert least == most == made.cost > 8
    assert made.image.size == (256, 64)


TUNED = {
    "imagic": 'imagic embedding_steps=1 training_steps=1 weights="cross"',
    "unitune": "unitune training_steps=1 batch=2",
    "patches": 'sine training_steps=1 patches=true weights="cross"',
    "lora": 'lora prompt="a sks cat" class_prompt="a cat" iterations=1 class_pictures=1',
    "other pictures": 'unitune training_steps=2 batch=1 pictures="small.png"',
    "word": 'textual_inversion word="<toy>" init="cat" iterations=1',
}


EVERY = [each if each == "imagic" else pytest.param(each, marks=pytest.mark.bench) for each in TUNED]


@pytest.mark.thorough
@pytest.mark.parametrize("name", EVERY)
def test_tunings_behind_windows_take_the_rows_that_the_plan_says(name: str, tmp_path: Path) -> None:
    """A row of each window of each picture that is learnt, all of which one step keeps for its way back."""
    path = tmp_path / "wide.png"
    Picture.new("RGB", (192, 64), (120, 190, 240)).save(path)
    Picture.new("RGB", (64, 64), (120, 190, 240)).save(tmp_path / "small.png")
    text = f'tiles multidiffusion | tune {TUNED[name]} | invert sdedit "cat"->"dog" strength=50% steps=2'
    recipe = retouch.recipe(text, tmp_path)
    (graph,) = recipe.graphs(path, caption="a cat in a meadow")
    planned = plan(graph)
    (tuning,) = (node for node in graph.nodes if node.card.takes("TrainingLog"))
    made = recipe(path, caption="a cat in a meadow")
    assert planned.total[0] == planned.total[1] == made.cost
    windows, led = 5, {"imagic": 2, "unitune": 2, "patches": 1, "lora": 2, "other pictures": 2, "word": 1}[name]
    windows = {"patches": 3, "other pictures": 1}.get(name, windows)
    assert planned.facts[tuning.id]["led"] == led * windows


def refused(text: str, path: Path) -> list[str]:
    with pytest.raises(retouch.RecipeError) as wrong:
        retouch.recipe(text, path.parent).graphs(path, caption="a cat in a meadow")
    return [each.code for each in wrong.value.diagnostics]


def test_a_mask_inside_of_a_pass_is_refused_in_windows_and_large_pictures_are_not(tmp_path: Path) -> None:
    path = tmp_path / "wide.png"
    Picture.new("RGB", (256, 64), (120, 190, 240)).save(path)
    edit = 'invert ddim "cat"->"dog" | mask box right=50%'
    assert refused(f"tiles multidiffusion | {edit} | attend background", path) == ["RT436"]
    assert refused(f"{edit} | blend latent", path) == ["RT404"]
    masked = 'mask box right=50% | crop size=256 | invert ddim "cat"->"dog" | blend latent | paste'
    assert refused(masked, path) == ["RT404"]
    for fine in (
        f"tiles multidiffusion | {edit} | blend latent",
        masked.replace("invert", "tiles multidiffusion | invert"),
    ):
        assert retouch.recipe(fine, tmp_path).graphs(path, caption="a cat in a meadow")
