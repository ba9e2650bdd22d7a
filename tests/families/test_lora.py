"""LoRA beside the layers is LoRA fused by hand, in every format; what does not fit is refused, or told."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from retouch.check.check import check as check_recipe
from retouch.check.reading.environment import Environment
from retouch.core.denoiser import Denoiser
from retouch.core.tuning import ModelDelta
from retouch.models.catalog import BrokenModel, find
from retouch.plugins import registry
from retouch.run.executor import run
from retouch.run.loaded.loaded_model import Machine
from tests.families.family_models import FamilyModel, far
from tests.families.lora_files import FORMATS, Draw, Made, fused, kohya, low_rank, peft, some

ModelOf = Callable[[str], FamilyModel]
FIVE = ("stable_diffusion", "sdxl", "sd3", "flux_dev", "qwen_image")
STRENGTH = 0.8


def tuned(model: FamilyModel, *texts: str) -> Machine:
    return Machine(find(str(model.folder), lora=texts), "cpu", torch.float32, plain=model.machine)


def answer(denoiser: Denoiser, model: FamilyModel) -> Tensor:
    level = model.schedule(4).steps[1].noisy
    return run(denoiser(model.latents(5)[0], level, model.prompt("a white cat")))[0].pair


def by_hand(model: FamilyModel, adds: Mapping[str, Tensor], strength: float) -> Tensor:
    """The answer under weights to which the file was added."""
    base = model.model.core.base
    made = {name: (base[name].double() + strength * delta).float() for name, delta in adds.items()}
    return answer(model.model.tuned(ModelDelta(made)), model)


def check(model: FamilyModel, made: Made, path: Path) -> None:
    beside = answer(tuned(model, f"{made.to(path)}*{STRENGTH}").denoiser, model)
    assert far(beside, by_hand(model, made.adds, STRENGTH)) <= 3e-6
    assert far(beside, answer(model.model, model)) > 1e-4


@pytest.mark.crossed
@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("name", FIVE)
def test_every_format_is_what_fusing_by_hand_gives(name: str, kind: str, model_of: ModelOf, tmp_path: Path) -> None:
    model = model_of(name)
    check(model, FORMATS[kind](some(model.model.core.base)), tmp_path / "style.safetensors")


@pytest.mark.parametrize("bars", [True, False])
def test_fused_layers_of_flux_are_cut(model_of: ModelOf, tmp_path: Path, bars: bool) -> None:
    model = model_of("flux_dev")
    weights = model.model.core.base
    qkv: dict[str, tuple[str, ...]] = {}
    for i in range(2):
        block = f"transformer_blocks.{i}.attn"
        qkv[f"double_blocks.{i}.img_attn.qkv"] = tuple(f"{block}.to_{each}.weight" for each in "qkv")
        qkv[f"double_blocks.{i}.txt_attn.qkv"] = tuple(f"{block}.add_{each}_proj.weight" for each in "qkv")
        single = f"single_transformer_blocks.{i}"
        qkv[f"single_blocks.{i}.linear1"] = (
            *(f"{single}.attn.to_{each}.weight" for each in "qkv"),
            f"{single}.proj_mlp.weight",
        )
        qkv[f"single_blocks.{i}.linear2"] = (f"{single}.proj_out.weight",)
    prefix = "lora_unet_" if bars else "diffusion_model."
    check(model, fused(qkv, weights, prefix, bars), tmp_path / "style.safetensors")


def test_fused_layers_of_stable_diffusion_3_are_cut(model_of: ModelOf, tmp_path: Path) -> None:
    model = model_of("sd3")
    qkv: dict[str, tuple[str, ...]] = {
        f"joint_blocks.{i}.x_block.attn.qkv": tuple(f"transformer_blocks.{i}.attn.to_{each}.weight" for each in "qkv")
        for i in range(4)
    }
    check(model, fused(qkv, model.model.core.base, "lora_unet_", True), tmp_path / "style.safetensors")


@pytest.mark.parametrize("name", ["stable_diffusion", "sdxl"])
def test_blocks_may_be_counted_as_their_authors_do(name: str, model_of: ModelOf, tmp_path: Path) -> None:
    from tests.families import authors_names as authors

    model = model_of(name)
    weights = some(model.model.core.base)
    config = dict(model.module.config)
    theirs = {
        own: next(iter(authors.unet(config, {own: weight}))).removeprefix("model.diffusion_model.")
        for own, weight in weights.items()
    }
    assert any("input_blocks" in each for each in theirs.values())
    made = kohya({theirs[own]: weight for own, weight in weights.items()})
    made.adds = {own: made.adds[other] for own, other in theirs.items()}
    check(model, made, tmp_path / "style.safetensors")


def test_names_of_old_processors_are_understood(model_of: ModelOf, tmp_path: Path) -> None:
    model, made, draw = model_of("stable_diffusion"), Made(), Draw(7)
    for name, weight in some(model.model.core.base).items():
        layer = name.removesuffix(".weight")
        if ".attn" in layer:
            attention, _, which = layer.partition("to_")
            down, up, made.adds[name] = low_rank(draw, weight)
            key = f"unet.{attention}processor.to_{which.removesuffix('.0')}_lora"
            made.tensors |= {f"{key}.down.weight": down, f"{key}.up.weight": up}
    check(model, made, tmp_path / "style.safetensors")


def test_several_add_up_in_their_weights(model_of: ModelOf, tmp_path: Path) -> None:
    model = model_of("sdxl")
    weights = some(model.model.core.base)
    one, two = kohya(weights), FORMATS["loha"](weights)
    texts = [f"{one.to(tmp_path / 'a.safetensors')}*0.5", f"{two.to(tmp_path / 'b.safetensors')}*-1"]
    adds = {name: 0.5 * one.adds[name] - two.adds[name] for name in weights}
    assert far(answer(tuned(model, *texts).denoiser, model), by_hand(model, adds, 1.0)) <= 3e-6


def test_tuning_goes_on_under_what_stands_beside(model_of: ModelOf, tmp_path: Path) -> None:
    """A stage that tunes weights, low-rank or whole, keeps the style; its gradients flow."""
    model = model_of("stable_diffusion")
    weights = some(model.model.core.base)
    made = kohya(weights)
    denoiser = tuned(model, f"{made.to(tmp_path / 'a.safetensors')}").denoiser
    name = next(name for name in weights if "attn2.to_k" in name)
    own = model.model.core.base[name] * 1.5
    adds = made.adds | {name: made.adds[name] + 0.5 * model.model.core.base[name].double()}
    assert far(answer(denoiser.tuned(ModelDelta({name: own})), model), by_hand(model, adds, 1.0)) <= 3e-6
    up, down = torch.randn(len(own), 2) * 0.1, torch.randn(2, own.shape[1]) * 0.1
    adds = made.adds | {name: made.adds[name] + (up.double() @ down.double())}
    low = denoiser.tuned(ModelDelta(low_rank={name: (up, down)}))
    assert far(answer(low, model), by_hand(model, adds, 1.0)) <= 3e-6


def test_weights_are_loaded_once_for_all_strengths(model_of: ModelOf, tmp_path: Path) -> None:
    model = model_of("stable_diffusion")
    file = kohya(some(model.model.core.base)).to(tmp_path / "a.safetensors")
    weak, strong = (tuned(model, f"{file}*{weight}") for weight in (0.4, 0.8))
    assert weak.denoiser.core is strong.denoiser.core is model.model.core
    assert weak.texts is strong.texts
    assert weak.info.digest != strong.info.digest
    assert weak.info.space == model.info.space
    assert far(answer(weak.denoiser, model), answer(strong.denoiser, model)) > 1e-3


@pytest.mark.parametrize("prefix", ["lora_te_", "text_encoder.", "lora_te1_"])
def test_the_half_of_the_text_encoder_is_fused(prefix: str, model_of: ModelOf, tmp_path: Path) -> None:
    model = model_of("stable_diffusion")
    encoder = model.encoders[0][0]
    weights = {
        f"text_model.{name.removeprefix('text_model.')}": weight
        for name, weight in encoder.named_parameters()
        if "q_proj.weight" in name or "fc1.weight" in name
    }
    made = kohya(weights, prefix) if prefix.startswith("lora") else peft(weights, prefix)
    machine = tuned(model, f"{made.to(tmp_path / 'a.safetensors')}*{STRENGTH}")
    other = deepcopy(encoder)
    own = dict(other.named_parameters())
    for name, delta in made.adds.items():
        weight = own.get(name, own.get(name.removeprefix("text_model.")))
        assert weight is not None
        weight.data = (weight.double() + STRENGTH * delta).float()
    got, plain = run(machine.texts.prompt("a white cat"))[0].embeds, model.prompt("a white cat").embeds
    ids = torch.tensor([model.texts.heard("a white cat").ids])
    assert far(got, other(ids).last_hidden_state[0]) <= 3e-6
    assert far(got, plain) > 1e-3
    assert far(model.prompt("a white cat").embeds, plain) == 0
    assert machine.denoiser.core is model.model.core


def test_what_fits_nowhere_is_kept_for_telling(model_of: ModelOf, tmp_path: Path) -> None:
    model = model_of("stable_diffusion")
    made = kohya(some(model.model.core.base))
    made.tensors["lora_unet_none_such.lora_down.weight"] = torch.zeros(RANK, 8)
    made.tensors["lora_unet_none_such.lora_up.weight"] = torch.zeros(8, RANK)
    made.tensors["note"] = torch.zeros(1)
    file = str(made.to(tmp_path / "a.safetensors"))
    info = find(str(model.folder), lora=[file])
    assert sorted(info.left_over[file]) == [
        "lora_unet_none_such.lora_down.weight",
        "lora_unet_none_such.lora_up.weight",
        "note",
    ]


FOREIGN = [
    ({"ss_base_model_version": "sdxl_base_v1-0"}, "Stable Diffusion XL ('sdxl_base_v1-0')"),
    ({"modelspec.architecture": "stable-diffusion-xl-v1-base/lora"}, "Stable Diffusion XL ('stable-diffusion-xl"),
    ({"base_model": "black-forest-labs/FLUX.1-dev"}, "FLUX.1 ('black-forest-labs/FLUX.1-dev')"),
    ({"ss_base_model_version": "sd3.5-large"}, "Stable Diffusion 3 ('sd3.5-large')"),
    (
        {"lora_adapter_metadata": '{"unet.base_model_name_or_path": "Qwen/Qwen-Image"}'},
        "Qwen-Image ('Qwen/Qwen-Image')",
    ),
]
OWN: list[dict[str, str]] = [
    {},
    {"ss_base_model_version": "sd_v1"},
    {"modelspec.architecture": "stable-diffusion-v1/lora"},
    {"base_model": "somebody/their-own"},
    {"lora_adapter_metadata": "[" * 100_000},
    {"lora_adapter_metadata": '[5, {"base_model_name_or_path": 5}]'},
]


@pytest.mark.parametrize(("metadata", "whose"), FOREIGN)
def test_a_file_that_fits_and_is_of_another_family_by_its_own_words_is_told(
    model_of: ModelOf, tmp_path: Path, metadata: dict[str, str], whose: str
) -> None:
    """Beside the model and in a stage: names and shapes fit, so nothing else can tell."""
    model, file = model_of("stable_diffusion"), tmp_path / "a.safetensors"
    save_file(kohya(some(model.model.core.base)).tensors, file, metadata)
    assert find(str(model.folder), lora=[str(file)]).foreign[str(file)].startswith(whose)
    world = Environment(registry.load(), tmp_path, allowed=(tmp_path, model.folder), here=tmp_path)
    begin = f'model "{model.folder}"'
    for recipe in (f'{begin} lora=["{file}"] | invert ddim', f'{begin} | tune lora "{file}" | invert ddim'):
        said = check_recipe(recipe, world).diagnostics
        (found,) = [each for each in said if each.code == "RT463"]
        assert "a.safetensors' fits, and says that it was trained for" in found.message
        assert recipe[found.span.start : found.span.end] == f'"{file}"'


@pytest.mark.parametrize("metadata", OWN)
def test_a_file_that_says_nothing_or_this_family_is_not_told_of(
    model_of: ModelOf, tmp_path: Path, metadata: dict[str, str]
) -> None:
    model, file = model_of("stable_diffusion"), tmp_path / "a.safetensors"
    save_file(kohya(some(model.model.core.base)).tensors, file, metadata)
    assert not find(str(model.folder), lora=[str(file)]).foreign


RANK = 4
LAYER = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "dora": ({f"{LAYER}.lora_down.weight": (4, 32), f"{LAYER}.dora_scale": (1, 32)}, "is a DoRA, whose magnitudes"),
    "oft": ({f"{LAYER}.oft_diag": (4, 4, 4)}, "is an OFT, which rotates"),
    "tucker": (
        {f"{LAYER}.lora_{leaf}.weight": (4, 4, 1, 1) for leaf in ("down", "mid", "up")},
        "is a Tucker decomposition",
    ),
    "another model": (
        {"lora_unet_a_b.lora_down.weight": (4, 8), "lora_unet_a_b.lora_up.weight": (8, 4)},
        "has no layer of this model; its first tensor is lora_unet_a_b.lora_down.weight",
    ),
    "another size": (
        {f"{LAYER}.lora_down.weight": (4, 320), f"{LAYER}.lora_up.weight": (320, 4)},
        "adds 320 x 320 to .*attn1.to_q, which has 32 x 32; it was trained on another model",
    ),
    "another family": (
        {"lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight": (4, 9)},
        "is a LoRA for FLUX.1, and the model is a Stable Diffusion 1/2",
    ),
    "no lora": ({"decoder.conv_in.weight": (4, 4, 3, 3)}, "is a VAE of Stable Diffusion, and no LoRA"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_file_that_does_not_fit_is_refused_by_name(what: str, model_of: ModelOf, tmp_path: Path) -> None:
    shapes, said = REFUSED[what]
    save_file({name: torch.zeros(shape) for name, shape in shapes.items()}, tmp_path / "style.safetensors")
    with pytest.raises(BrokenModel, match=said) as caught:
        find(str(model_of("stable_diffusion").folder), lora=[str(tmp_path / "style.safetensors")])
    assert "style.safetensors" in str(caught.value)


@pytest.mark.parametrize("text", ["a.safetensors*x", "*2", "a*b*2", "a.safetensors*300"])
def test_a_weight_is_a_number_behind_a_star(text: str, model_of: ModelOf) -> None:
    with pytest.raises(BrokenModel, match=r"no file with its weight|is more than 20"):
        find(str(model_of("stable_diffusion").folder), lora=[text])


def test_fitting_imports_no_torch(model_of: ModelOf, tmp_path: Path) -> None:
    model = model_of("stable_diffusion")
    file = kohya(some(model.model.core.base)).to(tmp_path / "a.safetensors")
    code = (
        "import sys; from retouch.models.catalog import find\n"
        f"find({str(model.folder)!r}, lora=[{str(file)!r}])\n"
        "print({'torch', 'diffusers', 'transformers', 'safetensors', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
