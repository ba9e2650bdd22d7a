"""Names that layers have in the authors' own code, for LoRA files that were trained there: facts of their networks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

Spellings = dict[str, tuple[str, ...]]

_RESNET = {
    "conv1": "in_layers.2",
    "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1",
    "conv_shortcut": "skip_connection",
}
_FLUX_DOUBLE = {
    "img_attn.qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "txt_attn.qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
    "img_attn.proj": ("attn.to_out.0",),
    "txt_attn.proj": ("attn.to_add_out",),
    "img_mlp.0": ("ff.net.0.proj",),
    "img_mlp.2": ("ff.net.2",),
    "txt_mlp.0": ("ff_context.net.0.proj",),
    "txt_mlp.2": ("ff_context.net.2",),
    "img_mod.lin": ("norm1.linear",),
    "txt_mod.lin": ("norm1_context.linear",),
}
_FLUX_SINGLE = {
    "linear1": ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp"),
    "linear2": ("proj_out",),
    "modulation.lin": ("norm.linear",),
}
_FLUX_ENDS = {
    "img_in": ("x_embedder",),
    "txt_in": ("context_embedder",),
    "time_in.in_layer": ("time_text_embed.timestep_embedder.linear_1",),
    "time_in.out_layer": ("time_text_embed.timestep_embedder.linear_2",),
    "vector_in.in_layer": ("time_text_embed.text_embedder.linear_1",),
    "vector_in.out_layer": ("time_text_embed.text_embedder.linear_2",),
    "guidance_in.in_layer": ("time_text_embed.guidance_embedder.linear_1",),
    "guidance_in.out_layer": ("time_text_embed.guidance_embedder.linear_2",),
    "final_layer.linear": ("proj_out",),
}
_SD3 = {
    "x_block.attn.qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "x_block.attn.proj": ("attn.to_out.0",),
    "x_block.attn2.qkv": ("attn2.to_q", "attn2.to_k", "attn2.to_v"),
    "x_block.attn2.proj": ("attn2.to_out.0",),
    "x_block.mlp.fc1": ("ff.net.0.proj",),
    "x_block.mlp.fc2": ("ff.net.2",),
    "x_block.adaLN_modulation.1": ("norm1.linear",),
    "context_block.attn.qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
    "context_block.attn.proj": ("attn.to_add_out",),
    "context_block.mlp.fc1": ("ff_context.net.0.proj",),
    "context_block.mlp.fc2": ("ff_context.net.2",),
    "context_block.adaLN_modulation.1": ("norm1_context.linear",),
}


def unet(modules: Iterable[str], config: Mapping[str, Any]) -> Spellings:
    """Layers of a UNet: its authors count the blocks of each half through."""
    places = _unet_places(config)
    found: Spellings = {}
    for module in modules:
        place = max((place for place in places if f"{module}.".startswith(f"{place}.")), key=len, default=None)
        if place is None:
            continue
        rest = module.removeprefix(place).removeprefix(".")
        rest = _RESNET.get(rest, rest) if ".resnets." in place else rest
        found[f"{places[place]}.{rest}" if rest else places[place]] = (module,)
    return found


def _unet_places(config: Mapping[str, Any]) -> dict[str, str]:
    downs, ups = config["down_block_types"], config["up_block_types"]
    said = config.get("layers_per_block", 2)
    layers = said if isinstance(said, list) else [said] * len(downs)
    places = {
        "conv_in": "input_blocks.0.0",
        "conv_out": "out.2",
        "time_embedding.linear_1": "time_embed.0",
        "time_embedding.linear_2": "time_embed.2",
        "add_embedding.linear_1": "label_emb.0.0",
        "add_embedding.linear_2": "label_emb.0.2",
        "mid_block.resnets.0": "middle_block.0",
        "mid_block.attentions.0": "middle_block.1",
        "mid_block.resnets.1": "middle_block.2",
    }
    number = 1
    for i, count in enumerate(layers):
        for j in range(count):
            places[f"down_blocks.{i}.resnets.{j}"] = f"input_blocks.{number}.0"
            places[f"down_blocks.{i}.attentions.{j}"] = f"input_blocks.{number}.1"
            number += 1
        places[f"down_blocks.{i}.downsamplers.0.conv"] = f"input_blocks.{number}.0.op"
        number += i + 1 < len(downs)
    number = 0
    for i, count in enumerate(reversed(layers)):
        for j in range(count + 1):
            places[f"up_blocks.{i}.resnets.{j}"] = f"output_blocks.{number}.0"
            places[f"up_blocks.{i}.attentions.{j}"] = f"output_blocks.{number}.1"
            number += 1
        behind = 2 if "CrossAttn" in ups[i] else 1
        places[f"up_blocks.{i}.upsamplers.0.conv"] = f"output_blocks.{number - 1}.{behind}.conv"
    return places


def flux(modules: Iterable[str]) -> Spellings:
    """Layers of FLUX.1: queries, keys and values in one, and of a single block its MLP as well."""
    modules = list(modules)
    double, single = (_blocks(modules, each) for each in ("transformer_blocks", "single_transformer_blocks"))
    found = _each(double, "double_blocks.{}", "transformer_blocks.{}", _FLUX_DOUBLE)
    return found | _each(single, "single_blocks.{}", "single_transformer_blocks.{}", _FLUX_SINGLE) | _FLUX_ENDS


def sd3(modules: Iterable[str]) -> Spellings:
    """Layers of Stable Diffusion 3: each block has one half for the picture and one for the text."""
    return _each(_blocks(list(modules), "transformer_blocks"), "joint_blocks.{}", "transformer_blocks.{}", _SD3)


def _blocks(modules: list[str], name: str) -> int:
    found = (re.match(rf"{name}\.(\d+)\.", module) for module in modules)
    return 1 + max((int(each[1]) for each in found if each), default=-1)


def _each(count: int, theirs: str, ours: str, table: Mapping[str, tuple[str, ...]]) -> Spellings:
    return {
        f"{theirs.format(i)}.{name}": tuple(f"{ours.format(i)}.{target}" for target in targets)
        for i in range(count)
        for name, targets in table.items()
    }
