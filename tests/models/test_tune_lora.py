"""A LoRA for one turn: the same as one beside the model, done once for all pictures, and the base stays as it is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from retouch.core.denoiser import Denoiser
from retouch.core.tuning import ModelDelta
from retouch.models import catalog
from retouch.run.executor import run
from retouch.run.loaded.loaded_model import Machine
from retouch.testing.worlds import tiny_world
from tests.e2e.command import draw, retouch
from tests.families.lora_files import kohya, some
from tests.models.tuning_runs import pixels

EDIT = '"cat"->"dog"'


@pytest.fixture(scope="module")
def machine() -> Machine:
    return Machine(catalog.find("storybook"), "cpu", torch.float32)


@pytest.fixture(scope="module")
def folder(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("lora")
    made = kohya(some(machine.denoiser.core.base))
    made.to(place / "style.safetensors")
    texts = {
        f"lora_te_text_model_encoder_layers_0_mlp_fc1.lora_{leaf}.weight": torch.ones(1, 1) for leaf in ("up", "down")
    }
    save_file({**made.tensors, **texts}, place / "both.safetensors")
    save_file(
        {"lora_unet_a_b.lora_down.weight": torch.ones(4, 8), "lora_unet_a_b.lora_up.weight": torch.ones(8, 4)},
        place / "other.safetensors",
    )
    save_file(texts, place / "texts.safetensors")
    for name in ("one", "two"):
        draw(place / f"{name}.png")
    return place


@pytest.mark.thorough
def test_it_is_what_the_same_file_beside_the_model_is(folder: Path) -> None:
    walk = f"invert ddim {EDIT} steps=2"
    recipe = (
        f'open "one.png" | tune lora "style.safetensors" scale=0.5 | {walk} | save "tuned.png"\n'
        f'open "one.png" | model "storybook" lora=["style.safetensors*0.5"] | {walk} | save "beside.png"\n'
        f'open "one.png" | {walk} | save "plain.png"\n'
        f'open "one.png" | tune lora "style.safetensors" scale=0 | {walk} | save "none.png"\n'
    )
    done = retouch("run", "-e", recipe, "--json", folder=folder)
    assert done.code == 0, done.out + done.err
    tuned, beside, plain, none = (pixels(folder / f"{name}.png") for name in ("tuned", "beside", "plain", "none"))
    np.testing.assert_allclose(tuned, beside, rtol=0, atol=1)
    np.testing.assert_allclose(none, plain, rtol=0, atol=1)
    assert abs(tuned - plain).max() > 8
    inputs = json.loads(retouch("show", "tuned.png", "--json", folder=folder).out)["inputs"]
    assert "style.safetensors" in inputs


@pytest.mark.thorough
def test_pictures_share_the_tuning_and_its_calls_and_two_deltas_never_meet(folder: Path) -> None:
    def calls(recipe: str) -> tuple[int, int]:
        done = retouch("run", "-e", recipe, "one.png", "two.png", "-o", "shared", "--json", folder=folder)
        assert done.code == 0, done.out + done.err
        return done.event("done")["rows"], done.event("done")["calls"]

    walk = f"invert sdedit {EDIT} steps=2 strength=100%"
    assert calls(f'tune lora "style.safetensors" | {walk} | save "a-{{name}}.png"') == (8, 2)
    assert calls(f'tune lora "style.safetensors" scale=[1, 0.5] | {walk} | save "b-{{name}}-{{scale}}.png"') == (16, 4)


def test_the_plan_counts_its_memory_and_several_add_up(folder: Path) -> None:
    recipe = f'tune lora "style.safetensors" | tune lora "style.safetensors" scale=-1 | invert null_text {EDIT} steps=4'
    done = retouch("plan", "-e", recipe, "one.png", "two.png", "--json", folder=folder)
    assert done.code == 0, done.out
    numbers = json.loads(done.out)["estimates"][0]["bytes"]["weights"]
    header = sum(each.numel() for each in kohya_tensors(folder).values())
    assert numbers["tune lora"] == 4 * header


def kohya_tensors(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(folder / "style.safetensors")


@pytest.mark.parametrize(
    ("file", "code", "words"),
    [
        ("other.safetensors", "RT434", "has no layer of this model"),
        ("texts.safetensors", "RT434", ""),
        ("one.png", "RT434", ""),
        ("gone.safetensors", "RT402", "there is no file"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_before_anything_loads(
    folder: Path, file: str, code: str, words: str
) -> None:
    done = retouch("check", "-e", f'tune lora "{file}" | invert ddim {EDIT}', "one.png", "--json", folder=folder)
    assert done.code == 1
    assert code in done.out
    assert words in done.out


def test_weights_are_what_they_were_and_tunings_compose() -> None:
    world = tiny_world(steps=3)
    model, x, level = world.model, world.latents.data, world.schedule.steps[1].noisy
    base = {name: weight.clone() for name, weight in model.core.base.items()}
    name, other = [key for key in base if key.endswith("attn2.to_k.weight")][:2]
    changed = base[name] + 0.1
    up, down = torch.ones(base[other].shape[0], 1) * 0.1, torch.ones(1, base[other].shape[1])

    def said(asked: Denoiser) -> torch.Tensor:
        (pred,) = run(asked(x, level, world.edit.target))
        return pred.eps

    both = model.tuned(ModelDelta({name: changed})).tuned(ModelDelta(low_rank={other: (up, down)}))
    whole = model.tuned(ModelDelta({name: changed, other: base[other] + up @ down}))
    torch.testing.assert_close(said(both), said(whole))
    torch.testing.assert_close(both.weights[other], base[other] + up @ down)
    twice = model.tuned(ModelDelta(low_rank={name: (up, down)})).tuned(ModelDelta(low_rank={name: (up, down)}))
    torch.testing.assert_close(twice.weights[name], base[name] + 2 * up @ down)
    over = model.tuned(ModelDelta(low_rank={name: (up, down)})).tuned(ModelDelta({name: changed}))
    assert torch.equal(over.weights[name], changed)
    assert all(torch.equal(weight, base[key]) for key, weight in model.core.base.items())


@pytest.mark.thorough
def test_null_text_inverts_under_a_lora_and_gives_the_picture_back(folder: Path) -> None:
    """Each step's null text is learnt with the LoRA beside the layers, wherever the LoRA is named."""
    null = "invert null_text steps=2 inner_steps=4 | guide cfg guidance=3"
    lora = 'tune lora "style.safetensors" scale=0.5'
    picture = 'open "one.png" caption="an orange cat in a meadow"'
    recipe = (
        f'{picture} | {lora} | {null} | save "under.png"\n'
        f'{picture} | model "storybook" lora=["style.safetensors*0.5"] | {null} | save "beside.png"\n'
        f'{picture} | encode | decode | save "codec.png"\n'
        f'{picture} | {lora} | invert ddim steps=2 | guide cfg guidance=3 | save "ddim.png"\n'
    )
    done = retouch("run", "-e", recipe, "--json", folder=folder)
    assert done.code == 0, done.out + done.err
    under, beside, codec, ddim = (pixels(folder / f"{name}.png") for name in ("under", "beside", "codec", "ddim"))
    np.testing.assert_allclose(under, beside, rtol=0, atol=1)
    assert abs(under - codec).mean() < abs(ddim - codec).mean()
