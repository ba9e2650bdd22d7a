"""Files of guided-diffusion: what they are told by, what is made of them, and that it is what they answer."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from retouch.core.schedule import split
from retouch.models.catalog import BrokenModel, find
from retouch.models.files.headers import Stored
from retouch.models.files.kinds import kind_of
from retouch.models.files.pickles import convert_line
from retouch.models.single_file import shipped
from retouch.models.weights import check_with
from retouch.run.executor import run
from retouch.run.loaded.loaded_model import Machine
from retouch_models.networks.guided_diffusion import GuidedDiffusionUNet, by_own_names
from tests.families.guided_reference import ADM_64, ADM_256, ADM_512, Guided, Reference, drawn, shapes

PUBLISHED = {
    "guided-64-classes": (ADM_64, 295_904_454),
    "guided-256": (ADM_256, 552_814_086),
    "guided-256-classes": (replace(ADM_256, classes=1000), 553_838_086),
    "guided-512": (ADM_512, 557_973_638),
    "guided-512-classes": (replace(ADM_512, classes=1000), 558_997_638),
}
TINY = Guided(16, 32, (1, 2), 1, (8,), head=16)
SMALL = {
    "plain": TINY,
    "classes": replace(TINY, classes=5),
    "another order": replace(TINY, turns=False),
    "more blocks, attention twice": Guided(16, 32, (1, 2, 2), 2, (8, 4), head=32),
    "half as wide at first": Guided(16, 64, (0.5, 1), 1, (8,), head=16),
    "half as wide, with classes": Guided(16, 64, (0.5, 1), 1, (16, 8), classes=7, head=32),
}


@pytest.mark.parametrize("version", PUBLISHED)
def test_a_published_file_is_recognised_and_fits_its_network_name_by_name(version: str):
    """At full size, without memory: names as in the authors' files, and as many parameters as they published."""
    net, numbers = PUBLISHED[version]
    held = shapes(net)
    assert sum(math.prod(shape) for shape in held.values()) == numbers
    kind = kind_of({name: Stored("F32", shape, 0, 0) for name, shape in held.items()})
    assert kind
    assert (kind.role, kind.family, kind.configs) == ("network", "guided-diffusion", version)
    config = json.loads((shipped()[version] / "unet/config.json").read_text())
    assert config == configured(net)
    with torch.device("meta"):
        module = built(config)
        tensors = {name: torch.empty(shape) for name, shape in held.items()}
    check_with(module, Path("x.safetensors"), by_own_names(tensors, config))
    assert sum(each.numel() for each in module.parameters()) == numbers


def configured(net: Guided) -> dict[str, Any]:
    """The config of a UNet2DModel, or of ours, for such a network."""
    attends = [net.size >> level in net.attends for level in range(len(net.widths))]
    downs = ["AttnDownBlock2D" if each else "ResnetDownsampleBlock2D" for each in attends]
    ups = ["AttnUpBlock2D" if each else "ResnetUpsampleBlock2D" for each in reversed(attends)]
    wide = net.channels != net.widths[0]
    return {
        "_class_name": "GuidedDiffusionUNet" if wide else "UNet2DModel",
        **({} if net.turns else {"_attention_order": "new"}),
        "act_fn": "silu",
        "attention_head_dim": net.head,
        "attn_norm_num_groups": 32,
        "block_out_channels": net.widths,
        "down_block_types": downs,
        "downsample_type": "resnet",
        "flip_sin_to_cos": True,
        "freq_shift": 0,
        "in_channels": 3,
        "layers_per_block": net.layers,
        "norm_eps": 1e-05,
        "norm_num_groups": 32,
        **({"num_class_embeds": net.classes} if net.classes else {}),
        "out_channels": 6,
        "resnet_time_scale_shift": "scale_shift",
        "sample_size": net.size,
        **({"time_channels": net.channels, "time_embedding_dim": 4 * net.channels} if wide else {}),
        "up_block_types": ups,
        "upsample_type": "resnet",
    }


def built(config: Mapping[str, Any]) -> Any:
    from diffusers import UNet2DModel

    options = {name: value for name, value in config.items() if not name.startswith("_")}
    return (GuidedDiffusionUNet if "time_channels" in options else UNet2DModel)(**options)


def model(net: Guided, folder: Path) -> Path:
    """A random file of such a network, and a folder of configs beside it."""
    save_file(drawn(net), folder / "guided.safetensors")
    scheduler = json.loads((shipped()["guided-256"] / "scheduler/scheduler_config.json").read_text())
    written = {"model_index": {"_class_name": "DDIMPipeline"}, "unet/config": configured(net)}
    for name, said in (written | {"scheduler/scheduler_config": scheduler}).items():
        path = folder / "configs" / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(said))
    return folder / "guided.safetensors"


@pytest.mark.parametrize("name", SMALL)
def test_what_is_made_of_a_file_answers_as_the_published_architecture_does(name: str, tmp_path: Path):
    """The noise alone, of two pictures at two times, against the network written by hand over the same tensors."""
    net, file = SMALL[name], model(SMALL[name], tmp_path)
    machine = Machine(find(str(file), base=str(tmp_path / "configs")), "cpu", torch.float32)
    x = torch.randn(2, 3, 16, 24, generator=torch.Generator().manual_seed(1))
    levels = [machine.schedule(10, (16, 24)).steps[i].noisy for i in (1, 6)]
    texts = ["3", "1"] if net.classes else ["", ""]
    prompts = run(*(machine.texts.prompt(text) for text in texts))
    asked = zip(x, levels, prompts, strict=True)
    answers = run(*(machine.denoiser(each, level, prompt) for each, level, prompt in asked))
    classes = torch.tensor([3, 1]) if net.classes else None
    said = Reference(net, drawn(net))(x, torch.tensor([level.timestep for level in levels]), classes)
    assert said.shape[1] == 6
    for made, each, noise, level in zip(answers, x, said[:, :3], levels, strict=True):
        alpha, sigma = torch.tensor(level.alpha), torch.tensor(level.sigma)
        (wanted,) = split("epsilon", each[None], noise[None], alpha, sigma)
        torch.testing.assert_close(made.eps, wanted[1], rtol=0, atol=2e-5)
        assert wanted[1].std() > 0.1


@pytest.mark.thorough
def test_a_text_that_names_no_class_stands_for_any_one_another_at_each_time(tmp_path: Path):
    """As models of all ImageNet are published to be used; the same at each time whoever asks."""
    file = model(SMALL["classes"], tmp_path)
    machine = Machine(find(str(file), base=str(tmp_path / "configs")), "cpu", torch.float32)
    nothing, *each = run(*(machine.texts.prompt(text) for text in ("", *map(str, range(5)))))
    x = torch.randn(3, 16, 16, generator=torch.Generator().manual_seed(1))
    seen = list[int]()
    for step in machine.schedule(25, (16, 16)):
        plain, *others = (one.pair for one in run(*(machine.denoiser(x, step.noisy, one) for one in (nothing, *each))))
        seen += [number for number, other in enumerate(others) if torch.equal(plain, other)]
    assert len(seen) == 25
    assert len(set(seen)) == 5


def test_a_file_of_another_size_says_what_to_do_and_a_pickle_how_to_convert_it(tmp_path: Path):
    file = model(TINY, tmp_path)
    with pytest.raises(BrokenModel, match=r"guided-diffusion network of another size, and no configs .* base="):
        find(str(file))
    (tmp_path / "256x256_diffusion_uncond.pt").write_bytes(b"PK")
    with pytest.raises(BrokenModel, match="it is a pickle") as caught:
        find(str(tmp_path / "256x256_diffusion_uncond.pt"))
    assert convert_line(tmp_path / "256x256_diffusion_uncond.pt") in str(caught.value)


def test_a_file_that_its_base_does_not_fit_is_refused_by_the_block_that_is_too_many(tmp_path: Path):
    file = model(SMALL["more blocks, attention twice"], tmp_path)
    (tmp_path / "other").mkdir()
    model(TINY, tmp_path / "other")
    with pytest.raises(BrokenModel, match=r"it has 'input_blocks.4.0.\S+', and .* no such block"):
        _ = Machine(find(str(file), base=str(tmp_path / "other/configs")), "cpu", torch.float32).loaded
