"""The published models at full size, without memory: what is described is there, and they are as large as they are."""

from __future__ import annotations

from typing import Any

import diffusers
import pytest
import torch
from published import SIZES

from retouch.models import families
from retouch_models.published import PUBLISHED

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
    assert own == {name for name in modules if attends_to_itself(name)}
    held = sum(each.numel() for each in network.state_dict().values()) / 1e9
    assert held == pytest.approx(billions, rel=within)
    assert known.trained_size % known.multiple == 0


def attends_to_itself(module: str) -> bool:
    """Whether a module is an attention in which the picture reads itself: all but UNets' attn2 and text refiners."""
    parent, _, name = module.rpartition(".")
    unet = ".attentions." in module
    if "context_refiner" in module:
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
