"""The table of sites, computed from a config, is what a real network contains."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.resnet import ResnetBlock2D
from torch.nn import functional as F

from retouch.core.declared.touches import Site
from retouch.models.errors import BrokenModel
from retouch.models.kit.unet_sites import attention_sites
from retouch.testing.tiny import Draws, tiny_core
from tests.models.tiny_folder import unet

SD1 = {
    "block_out_channels": (32, 64, 64, 64),
    "down_block_types": ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
    "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
    "layers_per_block": 2,
}
SHAPES: dict[str, dict[str, Any]] = {
    "two levels": {},
    "sd1": SD1,
    "layers by block": SD1 | {"layers_per_block": (1, 2, 1, 3)},
    "deep transformers": SD1 | {"transformer_layers_per_block": (1, 2, 3, 1)},
    "another way up": SD1
    | {"transformer_layers_per_block": (1, 2, 1, 1), "reverse_transformer_layers_per_block": (1, 1, 3, 2)},
    "one level": {
        "block_out_channels": (32,),
        "down_block_types": ("CrossAttnDownBlock2D",),
        "up_block_types": ("CrossAttnUpBlock2D",),
    },
    "eight channels": {"in_channels": 8, "out_channels": 8},
}


def evaluated(network: UNet2DConditionModel) -> list[tuple[str, str, int]]:
    """Kind, name and scale of each site, in the order in which a forward pass meets them."""
    seen: list[tuple[str, str, int]] = []
    size = 16

    def record(kind: str, name: str, cells: int) -> None:
        seen.append((kind, name, size // cells))

    def watch(name: str, module: torch.nn.Module) -> None:
        if isinstance(module, ResnetBlock2D):
            module.register_forward_hook(lambda _, args, out: record("resnet", name, out.shape[-1]))
        if isinstance(module, BasicTransformerBlock):
            for kind, leaf in (("self", "attn1"), ("cross", "attn2")):
                module.get_submodule(leaf).register_forward_hook(
                    lambda _, args, out, kind=kind, leaf=leaf: record(
                        kind, f"{name}.{leaf}", round(out.shape[1] ** 0.5)
                    )
                )

    for name, module in network.named_modules():
        watch(name, module)
    channels, width = network.config["in_channels"], network.config["cross_attention_dim"]
    with torch.no_grad():
        network(torch.zeros(1, channels, size, size), 1, torch.zeros(1, 3, width))
    return seen


@pytest.mark.parametrize("shape", SHAPES)
def test_sites_are_what_a_forward_pass_meets(shape: str) -> None:
    network = unet(**SHAPES[shape])
    sites = attention_sites(network.config)
    assert [(site.kind, site.name, site.scale) for site in sites] == evaluated(network)


def census(sites: tuple[Site, ...], kind: str) -> list[int]:
    return [sum(site.kind == kind and site.place == place for site in sites) for place in ("down", "mid", "up")]


def test_stable_diffusion_has_the_census_of_the_papers() -> None:
    sites = attention_sites(unet(**SD1).config)
    assert census(sites, "self") == census(sites, "cross") == [6, 1, 9]
    assert census(sites, "resnet") == [8, 2, 12]


def test_local_blend_finds_its_five_layers() -> None:
    """Prompt-to-Prompt: the 16x16 maps of 64x64 latents, two on the way down and three on the way up."""
    layers = [site for site in attention_sites(unet(**SD1).config) if site.kind == "cross" and site.scale == 4]
    assert [site.place for site in layers] == ["down"] * 2 + ["up"] * 3
    assert layers[0].name == "down_blocks.2.attentions.0.transformer_blocks.0.attn2"
    assert layers[-1].name == "up_blocks.1.attentions.2.transformer_blocks.0.attn2"


def test_indices_count_each_kind_apart() -> None:
    sites = attention_sites(unet(**SD1).config)
    for kind in ("self", "cross", "resnet"):
        indices = [site.index for site in sites if site.kind == kind]
        assert indices == list(range(len(indices)))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"down_block_types": ("SimpleCrossAttnDownBlock2D", "DownBlock2D")}, "SimpleCrossAttnDownBlock2D"),
        ({"mid_block_type": "UNetMidBlock2DSimpleCrossAttn"}, "UNetMidBlock2DSimpleCrossAttn"),
        ({"only_cross_attention": True}, "only_cross_attention"),
        ({"dual_cross_attention": True}, "dual_cross_attention"),
    ],
)
def test_another_kind_of_network_is_refused_by_name(change: dict[str, Any], named: str) -> None:
    with pytest.raises(BrokenModel, match=named):
        attention_sites(dict(unet().config) | change)


@pytest.mark.parametrize("upcast", [True, False])
def test_attention_is_in_float32_where_the_config_says_so(upcast: bool, monkeypatch: pytest.MonkeyPatch):
    """Stable Diffusion 2.1's scores overflow in half precision: queries, keys and values are widened before them."""
    seen: set[torch.dtype] = set()
    plain = F.scaled_dot_product_attention

    def noted(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, *args: Any, **how: Any) -> torch.Tensor:
        seen.update((q.dtype, k.dtype, v.dtype))
        return plain(q, k, v, *args, **how)

    core, draws = tiny_core(dtype=torch.bfloat16, upcast_attention=upcast), Draws(0, torch.bfloat16)
    monkeypatch.setattr(F, "scaled_dot_product_attention", noted)
    with torch.no_grad():
        core.module(draws.tensor(1, 4, 8, 8), torch.tensor([500.0]), draws.tensor(1, 7, 32))
    assert seen == {torch.float32 if upcast else torch.bfloat16}
