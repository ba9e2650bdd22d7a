"""Models that work on pixels and read no text: their own forward, their codec, and their pipelines' samples."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from safetensors.torch import load_file, save_file

from retouch.cli.main import main
from retouch.core.awaited.combinators import gather
from retouch.core.schedule import split
from retouch.core.solvers import Ddim, Fresh
from retouch.core.tuning import ModelDelta
from retouch.core.values import NoiseSource
from retouch.models.catalog import BrokenModel, find
from retouch.run.executor import run
from retouch.testing import laws
from retouch.testing.tiny import Draws
from retouch_methods.guide.cfg import cfg
from retouch_methods.invert.null_text import null_text
from retouch_models.pixels import DDIM
from tests.families.family_models import FamilyModel, far
from tests.families.pixel_models import SIDE, world
from tests.families.test_family_folders import changed
from tests.families.test_family_packing import evaluated
from tests.families.tiny_families import PIXELS


@pytest.fixture(params=PIXELS)
def model(request: pytest.FixtureRequest, model_of: Callable[[str], FamilyModel]) -> FamilyModel:
    """Each kind of model in turn."""
    return model_of(request.param)


# ---------------------------------------------------------------------- the network


def its_own(model: FamilyModel) -> Any:
    """The network, as diffusers loads it from the folder."""
    return diffusers.UNet2DModel.from_pretrained(model.folder / "unet").eval()


@pytest.mark.thorough
def test_describing_one_imports_no_torch(folder_of: Callable[[str], Path]):
    code = (
        "import sys; from retouch.models.catalog import find\n"
        f"print([find(name).channels for name in {[str(folder_of(name)) for name in PIXELS]!r}])\n"
        "print(sorted(name for name in ('torch', 'diffusers', 'transformers') if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[3, 3, 3, 3]", "[]"]


@torch.no_grad()
def test_a_pass_is_the_modules_own_bit_for_bit(model: FamilyModel):
    """Two rows of one time; what a network says of the variance, and nothing else, is left out."""
    x, level = Draws(3).tensor(2, 3, SIDE, SIDE), model.schedule(6).steps[2].noisy
    prompts = [model.prompt(text) for text in (("3", "0") if model.known.classes else ("", "a cat"))]
    predictions = run(gather([model.model(each, level, one) for each, one in zip(x, prompts, strict=True)]))[0]
    told = {"class_labels": torch.tensor([3, 0])} if model.known.classes else {}
    out = its_own(model)(x, torch.full((2,), level.timestep), **told).sample
    assert out.std() > 1e-3
    assert out.shape[1] == (6 if model.name in ("guided", "classes") else 3)
    wanted = split(model.known.prediction, x, out[:, :3], torch.tensor(level.alpha), torch.tensor(level.sigma))
    assert all(torch.equal(made.pair, its) for made, its in zip(predictions, wanted, strict=True))


def test_every_site_is_a_module_that_attends_as_controls_see(model: FamilyModel):
    """Self-attention and residual blocks, all of them, and no cross-attention."""
    laws.family_laws(DDIM, model.folder)
    modules = dict(model.module.named_modules())
    attends = {name for name, each in modules.items() if type(each).__name__ == "Attention"}
    blocks = {name for name in modules if name.rpartition(".")[0].endswith(".resnets")}
    found = {kind: {site.name for site in model.known.sites if site.kind == kind} for kind in ("self", "resnet")}
    assert found == {"self": attends, "resnet": blocks}
    assert len(found["self"]) + len(found["resnet"]) == len(model.known.sites)
    assert {site.scale for site in model.known.sites} == {1, 2, 4}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("name", PIXELS)
@pytest.mark.thorough
def test_rows_have_the_same_bits_alone_and_in_company(name: str, dtype: torch.dtype, folder_of: Callable[[str], Path]):
    """Six times, six prompts, one call."""
    model = FamilyModel(name, folder_of(name), dtype)
    prompts = [model.prompt(text) for text in ("", "1", "2", "3", "a cat", "")]
    x, steps = Draws(5).tensor(6, 3, SIDE, SIDE), model.schedule(6).steps

    def ask(i: int) -> Any:
        return model.model(x[i], steps[i].noisy, prompts[i])

    alone = [evaluated([ask(i)])[0][0] for i in range(6)]
    among, calls = evaluated([ask(i) for i in range(6)])
    assert all(torch.equal(one.pair, other.pair) for one, other in zip(alone, among, strict=True))
    assert calls == 1


def flat(folder: Path, to: Path) -> Path:
    """The same model as the first ones were published: network and scheduler beside the index."""
    shutil.copytree(folder / "unet", to)
    shutil.copy(folder / "scheduler/scheduler_config.json", to)
    index = {"unet": ["diffusers", "UNet2DModel"], "scheduler": ["diffusers", "DDPMScheduler"]}
    (to / "model_index.json").write_text(json.dumps({"_class_name": "DDPMPipeline", **index}))
    return to


def test_a_folder_without_folders_is_the_same_model(folder_of: Callable[[str], Path], tmp_path: Path, capsys):
    """Blocks and attention under their first names as well; what is wrong there is told as elsewhere."""
    folder, there = folder_of("ddpm"), flat(folder_of("ddpm"), tmp_path / "flat")
    config = json.loads((there / "config.json").read_text())
    config["down_block_types"] = [f"UNetRes{kind}" for kind in config["down_block_types"]]
    (there / "config.json").write_text(json.dumps(config))
    one, other = find(str(folder)), find(str(there))
    assert (one.known, one.weights) == (other.known, other.weights)
    state = load_file(there / "diffusion_pytorch_model.safetensors")
    for old, new in {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}.items():
        state = {name.replace(f".{new}.", f".{old}."): tensor for name, tensor in state.items()}
    save_file(state, there / "diffusion_pytorch_model.safetensors")
    models = FamilyModel("ddpm", folder), FamilyModel("ddpm", there)
    x, level = models[0].latents()[0], models[0].schedule(3).steps[1].noisy
    said = [run(each.model(x, level, each.prompt("")))[0].pair for each in models]
    assert torch.equal(*said)
    assert main(["models", str(there)]) == 0
    assert "unet: " in capsys.readouterr().out
    changed(there / "config.json", {"layers_per_block": 99})
    with pytest.raises(BrokenModel, match="layers_per_block is 99"):
        find(str(there))


# ---------------------------------------------------------------------- codec and prompts


def test_a_picture_comes_back_to_the_last_bit_of_every_byte(model: FamilyModel):
    """There is no codec: latents are pixels from -1 to 1."""
    pictures = (torch.arange(768) % 256).reshape(1, 3, 16, 16) / 255
    latents = model.codec.encode(pictures)
    assert (float(latents.min()), float(latents.max())) == (-1, 1)
    assert torch.equal((model.codec.decode(latents) * 255).round(), (pictures * 255).round())
    assert model.codec.decode(2 * latents).max() == 1
    assert model.codec.padded(17, 1) == (20, 4)
    assert find(str(model.folder)).space == find("storybook_pixels").space


def test_a_prompt_keeps_its_text_and_says_nothing_but_a_class(model: FamilyModel):
    """A class is one token, whose number is the text; of all else nothing is heard."""
    heard = {text: model.texts.heard(text).ids for text in ("", "a cat", "3", "5", "-1", "³")}
    assert {text for text, ids in heard.items() if ids} == ({"3"} if model.known.classes else set())
    prompt = model.prompt("3")
    assert prompt.text == "3"
    assert prompt.positions("3") == ((0,) if model.known.classes else ())
    assert model.known.reads_words == bool(model.known.classes)


def test_another_class_is_another_answer_and_a_share_of_two_has_a_gradient(model_of: Callable[[str], FamilyModel]):
    """Null-text tunes the prompt of a class, as of words."""
    made = world(model_of("classes"))
    level = made.schedule.steps[1].noisy
    one, other = run(*(made.model(made.latents.data, level, each) for each in (made.edit.source, made.edit.target)))
    assert far(one.pair, other.pair) > 1e-3
    trajectory = run(replace(made, guidance=cfg(guidance=2.0)).call(null_text, inner_steps=2))[0]
    assert torch.isfinite(trajectory.states).all()


# ---------------------------------------------------------------------- walks


def pipeline(model: FamilyModel, scheduler: str, **config: Any) -> Any:
    """The pipeline of diffusers around the folder's network."""
    kind = getattr(diffusers, scheduler)
    made = kind.from_pretrained(model.folder / "scheduler", **config)
    its = getattr(diffusers, scheduler.replace("Scheduler", "Pipeline"))(its_own(model), made)
    its.set_progress_bar_config(disable=True)
    return its


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("name", ["ddpm", "velocity"])
def test_a_sample_from_noise_is_ddims_own(name: str, clip: bool, model_of: Callable[[str], FamilyModel]):
    """The whole walk of DDIMPipeline, with predictions held to -1 and 1 and without."""
    model, noise = model_of(name), 3 * Draws(7).tensor(1, 3, SIDE, SIDE)
    its = pipeline(model, "DDIMScheduler", clip_sample=clip)
    wanted = walked_by(its, noise, steps=5, use_clipped_model_output=True)
    assert far(walked(model, Ddim(clip=float(clip)), noise[0], 5), wanted[0]) < 2e-5 * max(1, float(wanted.std()))


@pytest.mark.parametrize("clip", [False, True])
def test_a_sample_with_new_noise_is_ddpms_own(clip: bool, model_of: Callable[[str], FamilyModel], monkeypatch):
    """The whole walk of DDPMPipeline, told the noise that ours draws."""
    from diffusers.schedulers import scheduling_ddpm

    model, noise = model_of("ddpm"), 3 * Draws(7).tensor(1, 3, SIDE, SIDE)
    rule, source = Fresh(Ddim(1.0, float(clip)), NoiseSource(3, "x")), NoiseSource(3, "x")
    draws = iter(NoiseSource(3, f"{source.key}/{i}").normal(1, like=noise[0]) for i in range(5))
    monkeypatch.setattr(scheduling_ddpm, "randn_tensor", lambda *_args, **_kwargs: next(draws))
    its = pipeline(model, "DDPMScheduler", clip_sample=clip)
    wanted = walked_by(its, noise, steps=5)
    assert far(walked(model, rule, noise[0], 5), wanted[0]) < 2e-5 * max(1, float(wanted.std()))


def walked_by(its: Any, noise: torch.Tensor, *, steps: int, **how: Any) -> torch.Tensor:
    """What a pipeline makes of this noise: its picture, as it is before it is held to what can be shown."""
    module = sys.modules[type(its).__module__]
    before, module.randn_tensor = module.randn_tensor, lambda *_args, **_kwargs: noise  # pyright: ignore[reportAttributeAccessIssue]
    seen: list[torch.Tensor] = []
    step = its.scheduler.step
    its.scheduler.step = lambda *args, **kwargs: seen.append(step(*args, **kwargs)) or seen[-1]
    try:
        its(num_inference_steps=steps, output_type="pt", **how)
    finally:
        module.randn_tensor = before  # pyright: ignore[reportAttributeAccessIssue]
    return seen[-1].prev_sample


def walked(model: FamilyModel, rule: Any, x: torch.Tensor, steps: int) -> torch.Tensor:
    """What our walk makes of it."""
    prompt = model.prompt("")

    async def ask(x: torch.Tensor, level: Any) -> Any:
        return await model.model(x, level, prompt)

    async def walk() -> torch.Tensor:
        state = rule.begin(x)
        for step in model.schedule(steps):
            state = await rule(state, step, ask)
        return state[0]

    return run(walk())[0]


def test_the_grid_is_the_schedulers_own(model: FamilyModel):
    kind = getattr(diffusers, json.loads((model.folder / "scheduler/scheduler_config.json").read_text())["_class_name"])
    its = kind.from_pretrained(model.folder / "scheduler")
    its.set_timesteps(7)
    assert [level.timestep for level in model.schedule(7).levels[:-1]] == its.timesteps.tolist()
    assert model.schedule(7).levels[-1].sigma == 0


def test_a_tuned_network_runs_beside_its_own(model_of: Callable[[str], FamilyModel]):
    """Weights of its own, and low ranks beside its layers; the base stays as it was."""
    made = world(model_of("guided"))
    level, x, prompt = made.schedule.steps[1].noisy, made.latents.data, made.edit.source
    weights = made.model.core.base
    name = next(each for each in weights if each.endswith("attentions.0.to_q.weight"))
    up, down = Draws(3).tensor(len(weights[name]), 2), Draws(4).tensor(2, weights[name].shape[1])
    deltas = ModelDelta(weights={name: weights[name] + up @ down}), ModelDelta(low_rank={name: (up, down)})
    plain, *tuned = run(*(each(x, level, prompt) for each in (made.model, *map(made.model.tuned, deltas))))
    assert far(plain.pair, tuned[0].pair) > 1e-4
    assert far(tuned[0].pair, tuned[1].pair) < 1e-4
    assert torch.equal(run(made.model(x, level, prompt))[0].pair, plain.pair)
