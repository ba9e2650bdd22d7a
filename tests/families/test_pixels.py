"""Models that work on pixels and read no text: their own forward, their pipelines' samples, methods, and the check."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import retouch
from retouch.cli.main import main
from retouch.core.combinators import gather, together
from retouch.core.schedule import split
from retouch.core.solvers import Ddim, Fresh
from retouch.core.tuning import ModelDelta
from retouch.core.values import Canvas, Edit, Latents, Mask, NoiseSource
from retouch.graph.plan import plan
from retouch.models.catalog import BrokenModel, find
from retouch.paths import folder as folder_of_recipes
from retouch.run.executor import run
from retouch.testing import laws
from retouch.testing.tiny import Draws
from retouch.testing.worlds import World
from retouch_methods.attend.background import background
from retouch_methods.attend.masactrl import masactrl
from retouch_methods.attend.pnp_features import pnp_features
from retouch_methods.guide.cfg import cfg
from retouch_methods.invert.null_text import null_text
from retouch_models.pixels import DDIM
from tests.families.family_models import FamilyModel, far
from tests.families.test_family_folders import changed
from tests.families.test_family_packing import evaluated
from tests.families.tiny_families import PIXELS

SIDE = 16  # pixels
PICTURE = (19, 22)  # of no multiple


@pytest.fixture(params=PIXELS)
def model(request: pytest.FixtureRequest, model_of: Callable[[str], FamilyModel]) -> FamilyModel:
    """Each kind of model in turn."""
    return model_of(request.param)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pictures, without captions."""
    made = tmp_path_factory.mktemp("pictures")
    for name in ("one", "two"):
        pixels = np.random.default_rng(len(name) + ord(name[0])).integers(0, 256, (*PICTURE, 3), np.uint8)
        Image.fromarray(pixels).save(made / f"{name}.png")
    return made


def world(model: FamilyModel, **more: Any) -> World:
    """A picture, a mask of its lower half; of a model with classes an edit from one to another."""
    texts = ("1", "3", "") if model.known.classes else ("", "", "")
    lower = (torch.arange(SIDE) >= SIDE // 2).float()[:, None].expand(SIDE, SIDE)
    edit = Edit(*(model.prompt(text) for text in texts))
    latents = Latents(Draws(0).tensor(3, SIDE, SIDE), Canvas(SIDE, SIDE, 1))
    return World(model.model, latents, edit, model.schedule(4, (SIDE, SIDE)), mask=Mask(lower), **more)


# ---------------------------------------------------------------------- the network


def its_own(model: FamilyModel) -> Any:
    """The network, as diffusers loads it from the folder."""
    return diffusers.UNet2DModel.from_pretrained(model.folder / "unet").eval()


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
    assert (one.known, one.digest) == (other.known, other.digest)
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


# ---------------------------------------------------------------------- methods

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


# ---------------------------------------------------------------------- the check

REFUSED = {
    "RT326": (
        "mask diffedit | invert ddim | blend latent",
        'mask attention words=["cat"] | invert ddim | blend latent',
        "invert ddim | blend local",
        "invert null_text",
        "invert negative_prompt",
        "invert ddim | guide proximal",
        "invert ddim | guide semantic",
        "invert ddim | guide pix2pix_zero",
        "invert ddim | attend p2p",
    ),
    "RT327": ('invert ddim "cat"->"dog"', 'invert ddim "a dog"', 'invert ddim negative="blurry"'),
    "RT328": (
        "invert ddim | guide norm guidance=2",
        "invert edict guidance=2",
        "invert edit_friendly source_guidance=3",
        "invert ddim source_guidance=0",
    ),
}


@pytest.mark.parametrize(("code", "text"), [(code, text) for code, texts in REFUSED.items() for text in texts])
def test_what_words_would_do_is_refused_before_anything_loads(
    code: str, text: str, folder: Path, capsys: pytest.CaptureFixture[str]
):
    """By its own code and no other, with what to write instead."""
    assert main(["check", "-e", f'model "storybook_pixels"\n{text}', str(folder / "one.png")]) == 1
    told = "".join(capsys.readouterr())
    assert told.count("error[") == 1, told
    assert f"error[{code}]" in told
    assert "= help: " in told


def test_words_of_the_command_line_are_refused_where_they_are_given(folder: Path, capsys: pytest.CaptureFixture[str]):
    given = ["--set", "guidance=3", "--set", "negative=ugly", "--model", "storybook_pixels"]
    assert main(["check", "-e", "invert ddim", str(folder / "one.png"), *given]) == 1
    told = "".join(capsys.readouterr())
    assert "RT327" in told
    assert "RT328" in told
    assert told.count("command line:1") == 2


def test_a_caption_that_nobody_reads_is_told_and_no_mistake(folder: Path, capsys: pytest.CaptureFixture[str]):
    """On the recipe's `open` and on the command line; not where some stage reads it, nor where no network is asked."""
    one, model = str(folder / "one.png"), 'model "storybook_pixels"\n'
    for text, given, name in (
        ('open "one.png" caption="a cat" | invert ddim | save "o.png"', [], "'caption'"),
        ("invert ddim", [one, "--caption", "a cat"], "'--caption'"),
    ):
        (folder / "r.retouch").write_text(model + text)
        assert main(["check", str(folder / "r.retouch"), *given]) == 0
        told = "".join(capsys.readouterr())
        assert f"{name} changes nothing here: 'storybook_pixels' reads no words" in told
    for text in (
        "mask box right=50%",
        'invert sdedit | guide image_text "cat"->"dog"',
        'model "storybook" | invert ddim',
    ):
        assert main(["check", "-e", model + text, one, "--caption", "a cat"]) == 0
        assert "RT227" not in "".join(capsys.readouterr())


def test_a_vae_that_would_be_idle_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]):
    vae = find("storybook").folder / "vae"
    assert main(["check", "-e", f'model "storybook_pixels" vae="{vae}"\ninvert ddim', str(folder / "one.png")]) == 1
    told = "".join(capsys.readouterr())
    assert "RT433" in told
    assert "works on pixels and has no use for one" in told


def test_a_mask_may_be_made_by_words_with_another_model(folder: Path):
    """An edit is refused on the model that it is written for, not on all of a turn."""
    text = (
        'model "storybook"\nmask diffedit "cat"->"dog" maps=1 | model "storybook_pixels" | invert sdedit | blend latent'
    )
    assert retouch.recipe(f"defaults steps=2\n{text}", folder)(folder / "one.png").image.size == PICTURE[::-1]


def test_a_class_that_there_is_not_is_refused(model_of: Callable[[str], FamilyModel], folder: Path, capsys):
    for text in ('"cat"->"3"', '"1"->"5"', '"1"->"3" negative="dog"'):
        recipe = f'model "{model_of("classes").folder}"\ninvert ddim {text}'
        assert main(["check", "-e", recipe, str(folder / "one.png"), "--allow", str(model_of("classes").folder)]) == 1
        told = "".join(capsys.readouterr())
        assert "RT329" in told
        assert "from 0 to 4" in told


def test_what_is_said_of_such_a_model_is_true_of_it(folder: Path, capsys: pytest.CaptureFixture[str]):
    """No latents, no prompt of two tokens less than none, and memory that is known."""
    assert main(["models", "storybook_pixels"]) == 0
    assert "read no prompt" in capsys.readouterr().out
    one = str(folder / "one.png")
    assert (
        main(
            ["plan", "-e", 'model "storybook_pixels"\nmask box left=25% right=75% | invert sdedit | blend latent', one]
        )
        == 0
    )
    told = capsys.readouterr().out
    assert "'invert sdedit' works on pixels from -1 to 1" in told
    assert "guidance=1.0 (model)" in told
    assert "at most" in told
    text = 'model "storybook_pixels"\ninvert sdedit | attend masactrl coarsest=2'
    assert main(["check", "-e", text, one]) == 1
    told = "".join(capsys.readouterr())
    assert "at 1 to 2 pixels a token" in told
    assert "coarsest=4" in told
    info = find("storybook_pixels")
    assert info.known.working
    small, large = (info.known.working.row((side, side), 0) for side in (32, 64))
    assert 0 < small < large <= 4 * small
    assert info.known.working.picture(64 * 64) == 64 * 64 * 6


WRONG = {
    "grey": ("unet", {"in_channels": 1, "out_channels": 1}, "takes 1 channels and gives 1; of pictures"),
    "super-resolution": ("unet", {"in_channels": 6}, "takes 6 channels and gives 3"),
    "fourier": ("unet", {"time_embedding_type": "fourier"}, "its time as 'fourier'"),
    "no size": ("unet", {"sample_size": None}, "lacks or misstates|lacks sample_size|sample_size"),
    "skips": ("unet", {"down_block_types": ["SkipDownBlock2D"] * 3}, "uses 'SkipDownBlock2D'"),
    "heads": ("unet", {"attention_head_dim": 24}, "attention_head_dim is 24; a divisor of 32"),
    "wider": ("unet", {"block_out_channels": [32, 32, 96]}, "conv1.weight is 64 x 32"),
    "told twice": ("unet", {"class_embed_type": "timestep"}, "told a class by 'timestep'"),
    "sample": ("scheduler", {"prediction_type": "sample"}, "it predicts 'sample'"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_folder_that_cannot_be_read_as_one_is_refused_in_words(
    case: str, folder_of: Callable[[str], Path], tmp_path: Path
):
    part, change, words = WRONG[case]
    there = shutil.copytree(folder_of("ddpm"), tmp_path / "tiny", copy_function=os.link)
    changed(there / part / ("config.json" if part == "unet" else "scheduler_config.json"), change)
    with pytest.raises(BrokenModel, match=words):
        find(str(there))


def test_the_embedded_one_brings_a_drawing_back_and_makes_another_inside_of_a_mask(tmp_path: Path):
    """Fifty steps up and down; and SDEdit under a mask."""
    cat = folder_of_recipes("recipes") / "pictures" / "cat_meadow.png"
    again = retouch.recipe('model "storybook_pixels"\ninvert ddim | require psnr min=30')(cat)
    assert again.ok
    made = retouch.recipe('model "storybook_pixels"\nmask box left=50% | invert sdedit | blend latent')(cat)
    before, after = (np.asarray(each).astype(int) for each in (Image.open(cat).convert("RGB"), made.image))
    assert np.abs(after - before)[:, 32:].mean() > 5
    assert np.abs(after - before)[:, :32].max() <= 1


def test_a_stage_that_reads_words_itself_lets_an_edit_be_written(tmp_path: Path):
    """An image-text model leads a model that reads none, inside of a mask; outside not one byte changes."""
    pictures = shutil.copytree(folder_of_recipes("recipes") / "pictures", tmp_path / "pictures")
    text = 'mask file "cat_meadow_mask.png" | invert sdedit strength=50% | guide image_text "cat"->"dog" | blend latent'
    recipe = retouch.recipe(f'model "storybook_pixels"\ndefaults steps=8\n{text} | blend pixel', pictures)
    made, plain = (
        recipe(pictures / "cat_meadow.png"),
        retouch.recipe(
            f'model "storybook_pixels"\ndefaults steps=8\n{text} | blend pixel'.replace(
                'guide image_text "cat"->"dog" | ', ""
            ),
            pictures,
        )(pictures / "cat_meadow.png"),
    )
    before = np.asarray(Image.open(pictures / "cat_meadow.png").convert("RGB"))
    outside = made.mask.pixels(64, 64).numpy() == 0
    assert np.array_equal(np.asarray(made.image)[outside], before[outside])
    assert not np.array_equal(np.asarray(made.image), np.asarray(plain.image))


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
