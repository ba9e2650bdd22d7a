"""The published models at full size, without memory: what is described is there, and they are as large as they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from diffusers.models.attention_processor import Attention
from PIL import Image

from retouch.check.capabilities import capabilities
from retouch.cli.main import main
from retouch.models import families
from retouch.plugins.registry import load
from retouch.testing import laws
from retouch_models.published import PUBLISHED
from tests.families.family_models import FamilyModel
from tests.families.published import SIZES

MODELS = {name: (pipeline, configs) for pipeline, models in PUBLISHED.items() for name, configs in models.items()}


def test_every_family_of_ours_has_a_published_shape_and_every_shape_a_size():
    """What `retouch models --family` shows is all of it."""
    assert PUBLISHED.keys() == {name for name, where in families.installed().items() if "retouch_models." in where}
    assert MODELS.keys() == SIZES.keys()


@pytest.mark.parametrize("name", MODELS)
def test_a_published_model_is_described_as_it_is_built(name: str):
    """Every site is a module of the network, every block has its sites, and parameters are as many as published."""
    pipeline, configs = MODELS[name]
    kind, billions, within = SIZES[name]
    known = families.describe(pipeline, lambda file: configs[file])
    network = built(kind, configs)
    modules = dict(network.named_modules())
    assert not [site.name for site in known.sites if site.name not in modules]
    own = {site.name for site in known.sites if site.kind == "self"}
    assert own == {name for name, module in modules.items() if attends_to_itself(name, module)}
    held = sum(each.numel() for each in network.state_dict().values()) / 1e9
    assert held == pytest.approx(billions, rel=within)
    assert known.trained_size % known.multiple == 0


def attends_to_itself(path: str, module: Any) -> bool:
    """Whether a module is an attention in which the picture reads itself: all but UNets' attn2 and text refiners."""
    parent, _, name = path.rpartition(".")
    unet = ".attentions." in path
    if parent.endswith(".attentions"):  # of a UNet without text, where no transformer is round it
        return isinstance(module, Attention)
    if "context_refiner" in path:
        return False
    return name in ("attn", "attention") or name == "attn1" or (name == "attn2" and not unet and bool(parent))


def built(kind: str, configs: dict[str, dict[str, Any]]) -> Any:
    """The network of its configs, on the meta device."""
    part = "unet" if "unet/config.json" in configs else "transformer"
    options = dict(configs[f"{part}/config.json"])
    if kind == "QwenImageTransformer2DModel":
        del options["pooled_projection_dim"]  # which its published config has and its class does not
    with torch.device("meta"):
        return getattr(diffusers, kind)(**options)


def test_the_command_line_tells_what_each_family_can_do(capsys: pytest.CaptureFixture[str]):
    """Sites of each kind, told numbers, defaults, notes; and what is refused there is refused by the check."""
    assert main(["models", "--family", "--json"]) == 0
    told = {each["model"]: each for each in map(json.loads, capsys.readouterr().out.splitlines())}
    assert told.keys() >= MODELS.keys()
    dev = told["FLUX.1 dev"]
    assert (dev["sites"], dev["told"]) == ({"self": 57, "cross": 57, "resnet": 0}, {"guidance": 3.5})
    assert "attend pnp_features" in dev["refused"]
    assert "attend p2p" not in dev["refused"]
    assert "attend pnp_features" not in told["Stable Diffusion 1.5"]["refused"]
    assert "four steps" in told["FLUX.1 schnell"]["noted"]
    assert main(["models", "--family"]) == 0
    assert "'attend pnp_features' is refused: no residual blocks" in capsys.readouterr().out


def test_what_the_table_says_is_refused_is_refused_by_the_check(
    folder_of: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """The same stage, on a folder of the family."""
    Image.new("RGB", (16, 16)).save(tmp_path / "cat.png")
    recipe = 'invert ddim "cat"->"dog" | attend pnp_features'
    given = [str(tmp_path / "cat.png"), "--caption", "a cat", "--model", str(folder_of("flux_dev"))]
    assert main(["plan", "-e", recipe, *given]) == 1
    assert "RT325" in "".join(capsys.readouterr())


def test_a_plan_knows_what_a_pass_and_a_picture_take(model: FamilyModel) -> None:
    """Every family of ours says so, and its own model holds as much."""
    world = laws.family_laws(families.named(model.info.pipeline), model.folder)
    held = laws.memory_law(world, model.known)
    assert min(held) > 1000
    assert model.known.working is not None


def test_what_a_published_model_refuses_is_told_with_its_code() -> None:
    refused = {each.model: {name: why.code for name, why in each.refused.items()} for each in capabilities(load())}
    flows = {"invert fireflow", "invert rf_inversion", "invert rf_solver", "schedule shift"}
    assert refused["Stable Diffusion 1.5"] == dict.fromkeys(flows, "RT320") | {"guide distilled": "RT321"}
    acting = {"attend pnp_features": "RT325", "guide semantic": "RT325"}
    spaced = {name: "RT320" for name in refused["FLUX.1 dev"] if name.startswith("schedule ")}  # made for noise models
    assert spaced
    assert refused["FLUX.1 dev"] == acting | spaced
    assert refused["Qwen-Image"] == acting | spaced | {"guide distilled": "RT321"}
