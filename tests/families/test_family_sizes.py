"""The published models at full size, without memory: what is described is there, and they are as large as they are."""

from __future__ import annotations

from typing import Any

import diffusers
import pytest
import torch
from published import PUBLISHED, Published

from retouch.models import families


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_model_is_described_as_it_is_built(name: str):
    """Every site is a module of the network, every block has its sites, and parameters are as many as published."""
    published = PUBLISHED[name]
    known = families.describe(published.pipeline, lambda file: published.configs[file])
    network = built(published)
    modules = dict(network.named_modules())
    assert not [site.name for site in known.sites if site.name not in modules]
    own = {site.name for site in known.sites if site.kind == "self"}
    assert own == {name for name in modules if attends_to_itself(name)}
    held = sum(each.numel() for each in network.state_dict().values()) / 1e9
    assert held == pytest.approx(published.billions, rel=published.within)
    assert (known.trained_size % known.multiple, known.prediction) in ((0, "epsilon"), (0, "flow"))


def attends_to_itself(module: str) -> bool:
    """Whether a module is an attention in which the picture reads itself: all but UNets' attn2 and text refiners."""
    parent, _, name = module.rpartition(".")
    unet = ".attentions." in module
    if "context_refiner" in module:
        return False
    return name in ("attn", "attention") or name == "attn1" or (name == "attn2" and not unet and bool(parent))


def built(published: Published) -> Any:
    """The network of its configs, on the meta device."""
    part = "unet" if "unet/config.json" in published.configs else "transformer"
    options = dict(published.configs[f"{part}/config.json"])
    if published.pipeline == "QwenImagePipeline":
        del options["pooled_projection_dim"]  # which its published config has and its class does not
    with torch.device("meta"):
        return getattr(diffusers, published.network)(**options)
