"""Authors' names for tensors that have diffusers' names: the way back of what a loader does, written by hand."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

_BLOCK = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1",
    "conv_shortcut": "skip_connection",
}
_ENDS = {
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "mid_block.resnets.0": "middle_block.0",
    "mid_block.attentions.0": "middle_block.1",
    "mid_block.resnets.1": "middle_block.2",
}
_VAE = (
    ("mid_block.resnets.0", "mid.block_1"),
    ("mid_block.resnets.1", "mid.block_2"),
    ("mid_block.attentions.0", "mid.attn_1"),
    ("conv_shortcut", "nin_shortcut"),
    ("conv_norm_out", "norm_out"),
    ("group_norm", "norm"),
    ("to_q", "q"),
    ("to_k", "k"),
    ("to_v", "v"),
    ("to_out.0", "proj_out"),
)
_CLIP = (
    ("self_attn.out_proj", "attn.out_proj"),
    ("layer_norm1", "ln_1"),
    ("layer_norm2", "ln_2"),
    ("mlp.fc1", "mlp.c_fc"),
    ("mlp.fc2", "mlp.c_proj"),
    ("encoder.layers.", "transformer.resblocks."),
)
_CLIP_ENDS = {
    "embeddings.token_embedding.weight": "token_embedding.weight",
    "embeddings.position_embedding.weight": "positional_embedding",
    "final_layer_norm.weight": "ln_final.weight",
    "final_layer_norm.bias": "ln_final.bias",
}


def unet(config: Mapping[str, Any], state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A UNet as its authors have it."""
    places = _places(config)
    return {f"model.diffusion_model.{_in_unet(places, name)}": tensor for name, tensor in state.items()}


def _places(config: Mapping[str, Any]) -> dict[str, str]:
    """Blocks of diffusers, by those of the authors, who count all of one half through."""
    layers, places, number = config["layers_per_block"], dict(_ENDS), 1
    last = len(config["down_block_types"]) - 1
    for i, kind in enumerate(config["down_block_types"]):
        for j in range(layers):
            places[f"down_blocks.{i}.resnets.{j}"] = f"input_blocks.{number}.0"
            if "CrossAttn" in kind:
                places[f"down_blocks.{i}.attentions.{j}"] = f"input_blocks.{number}.1"
            number += 1
        if i < last:
            places[f"down_blocks.{i}.downsamplers.0.conv"] = f"input_blocks.{number}.0.op"
            number += 1
    number = 0
    for i, kind in enumerate(config["up_block_types"]):
        for j in range(layers + 1):
            places[f"up_blocks.{i}.resnets.{j}"] = f"output_blocks.{number}.0"
            attends = "CrossAttn" in kind
            if attends:
                places[f"up_blocks.{i}.attentions.{j}"] = f"output_blocks.{number}.1"
            if j == layers and i < last:
                places[f"up_blocks.{i}.upsamplers.0.conv"] = f"output_blocks.{number}.{2 if attends else 1}.conv"
            number += 1
    return places


def _in_unet(places: Mapping[str, str], name: str) -> str:
    place = next(place for place in sorted(places, key=len, reverse=True) if name.startswith(f"{place}."))
    rest = name.removeprefix(f"{place}.")
    if ".resnets." in place:
        layer, _, leaf = rest.rpartition(".")
        rest = f"{_BLOCK[layer]}.{leaf}"
    return f"{places[place]}.{rest}"


def vae(
    config: Mapping[str, Any], state: Mapping[str, Tensor], prefix: str = "first_stage_model."
) -> dict[str, Tensor]:
    """A VAE as its authors have it: attention by convolutions of one pixel, and levels counted from the finest."""
    top = len(config["block_out_channels"]) - 1
    made: dict[str, Tensor] = {}
    for old, tensor in state.items():
        name = re.sub(r"down_blocks\.(\d+)\.resnets\.(\d+)", r"down.\1.block.\2", old)
        name = re.sub(r"down_blocks\.(\d+)\.downsamplers\.0\.conv", r"down.\1.downsample.conv", name)
        name = re.sub(r"up_blocks\.(\d+)\.resnets\.(\d+)", _from_top(top, "block.{}"), name)
        name = re.sub(r"up_blocks\.(\d+)\.upsamplers\.(\d+)\.conv", _from_top(top, "upsample.conv"), name)
        for one, other in _VAE:
            name = name.replace(one, other)
        attends = "attn_1" in name and tensor.ndim == 2
        made[prefix + name] = tensor[:, :, None, None] if attends else tensor
    return made


def _from_top(top: int, rest: str) -> Callable[[re.Match[str]], str]:
    return lambda found: f"up.{top - int(found[1])}.{rest.format(found[2])}"


def open_clip(state: Mapping[str, Tensor], prefix: str = "conditioner.embedders.1.model.") -> dict[str, Tensor]:
    """CLIP's text model as OpenCLIP has it: queries, keys and values in one, and the projection on its side."""
    made: dict[str, Tensor] = {}
    state = {name.removeprefix("text_model."): tensor for name, tensor in state.items()}
    for old, tensor in state.items():
        name, joined = old, tensor
        if old == "text_projection.weight":
            name, joined = "text_projection", tensor.T
        elif "self_attn.q_proj" in old:
            each = [state[old.replace("q_proj", f"{which}_proj")] for which in "qkv"]
            name, joined = old.replace("self_attn.q_proj.", "attn.in_proj_"), torch.cat(each)
        elif "self_attn.k_proj" in old or "self_attn.v_proj" in old:
            continue
        name = _CLIP_ENDS.get(name, name)
        for one, other in _CLIP:
            name = name.replace(one, other)
        made[prefix + name] = joined
    return made


def clip(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """CLIP's text model as transformers had it when those files were made."""
    return {f"{prefix}text_model.{name.removeprefix('text_model.')}": tensor for name, tensor in state.items()}


def flux(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of FLUX.1 as its authors have it, at full size."""
    width, head = config["num_attention_heads"] * config["attention_head_dim"], config["attention_head_dim"]
    linear = {
        "time_in.in_layer": (width, 256),
        "time_in.out_layer": (width, width),
        "vector_in.in_layer": (width, config["pooled_projection_dim"]),
        "vector_in.out_layer": (width, width),
        "txt_in": (width, config["joint_attention_dim"]),
        "img_in": (width, config["in_channels"]),
        "final_layer.linear": (config["in_channels"], width),
        "final_layer.adaLN_modulation.1": (2 * width, width),
    }
    if config["guidance_embeds"]:
        linear |= {"guidance_in.in_layer": (width, 256), "guidance_in.out_layer": (width, width)}
    shapes: dict[str, tuple[int, ...]] = {}
    for i in range(config["num_layers"]):
        for side in ("img", "txt"):
            block = f"double_blocks.{i}.{side}"
            linear |= {f"{block}_mod.lin": (6 * width, width), f"{block}_attn.qkv": (3 * width, width)}
            linear |= {f"{block}_attn.proj": (width, width)}
            linear |= {f"{block}_mlp.0": (4 * width, width), f"{block}_mlp.2": (width, 4 * width)}
            shapes |= {f"{block}_attn.norm.{which}_norm.scale": (head,) for which in ("query", "key")}
    for i in range(config["num_single_layers"]):
        block = f"single_blocks.{i}"
        linear |= {f"{block}.linear1": (7 * width, width), f"{block}.linear2": (width, 5 * width)}
        linear |= {f"{block}.modulation.lin": (3 * width, width)}
        shapes |= {f"{block}.norm.{which}_norm.scale": (head,) for which in ("query", "key")}
    for name, shape in linear.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return shapes


_SD3_ENDS = {
    "pos_embed.pos_embed": "pos_embed",
    "pos_embed.proj": "x_embedder.proj",
    "time_text_embed.timestep_embedder.linear_1": "t_embedder.mlp.0",
    "time_text_embed.timestep_embedder.linear_2": "t_embedder.mlp.2",
    "time_text_embed.text_embedder.linear_1": "y_embedder.mlp.0",
    "time_text_embed.text_embedder.linear_2": "y_embedder.mlp.2",
    "context_embedder": "context_embedder",
    "norm_out.linear": "final_layer.adaLN_modulation.1",
    "proj_out": "final_layer.linear",
}
_SD3_BLOCK = {
    "attn.to_out.0": "x_block.attn.proj",
    "attn.to_add_out": "context_block.attn.proj",
    "attn.norm_q": "x_block.attn.ln_q",
    "attn.norm_k": "x_block.attn.ln_k",
    "attn.norm_added_q": "context_block.attn.ln_q",
    "attn.norm_added_k": "context_block.attn.ln_k",
    "attn2.to_out.0": "x_block.attn2.proj",
    "attn2.norm_q": "x_block.attn2.ln_q",
    "attn2.norm_k": "x_block.attn2.ln_k",
    "norm1.linear": "x_block.adaLN_modulation.1",
    "norm1_context.linear": "context_block.adaLN_modulation.1",
    "ff.net.0.proj": "x_block.mlp.fc1",
    "ff.net.2": "x_block.mlp.fc2",
    "ff_context.net.0.proj": "context_block.mlp.fc1",
    "ff_context.net.2": "context_block.mlp.fc2",
}
_SD3_JOINED = {
    "attn.to_{}": "x_block.attn.qkv",
    "attn.add_{}_proj": "context_block.attn.qkv",
    "attn2.to_{}": "x_block.attn2.qkv",
}


def sd3(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """SD3's transformer as its authors have it: queries, keys and values in one, the last shifts before scales."""
    made: dict[str, Tensor] = {}
    blocks = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("transformer_blocks."))
    swapped = {"norm_out.linear", f"transformer_blocks.{blocks - 1}.norm1_context.linear"}
    for old, tensor in state.items():
        if old == "pos_embed.pos_embed":
            made["pos_embed"] = tensor
            continue
        layer, _, leaf = old.rpartition(".")
        value = torch.cat(tensor.chunk(2)[::-1]) if layer in swapped else tensor
        if not layer.startswith("transformer_blocks."):
            made[f"{_SD3_ENDS[layer]}.{leaf}"] = value
            continue
        _, number, name = layer.split(".", 2)
        if name in _SD3_BLOCK:
            made[f"joint_blocks.{number}.{_SD3_BLOCK[name]}.{leaf}"] = value
        for split, joined in _SD3_JOINED.items():
            if name == split.format("q"):
                each = [state[f"transformer_blocks.{number}.{split.format(which)}.{leaf}"] for which in "qkv"]
                made[f"joint_blocks.{number}.{joined}.{leaf}"] = torch.cat(each)
    return made


def sd3_shapes(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of SD3 and 3.5 as their authors have them, at full size.

    The last block's text is read and no more written; blocks that attend twice have nine modulations, others six.
    """
    width, head, last = config["caption_projection_dim"], config["attention_head_dim"], config["num_layers"] - 1
    patch = config["patch_size"]
    twice = config.get("dual_attention_layers", ())
    linear = {
        "t_embedder.mlp.0": (width, 256),
        "t_embedder.mlp.2": (width, width),
        "y_embedder.mlp.0": (width, config["pooled_projection_dim"]),
        "y_embedder.mlp.2": (width, width),
        "context_embedder": (width, config["joint_attention_dim"]),
        "final_layer.adaLN_modulation.1": (2 * width, width),
        "final_layer.linear": (patch**2 * config["out_channels"], width),
    }
    shapes: dict[str, tuple[int, ...]] = {
        "pos_embed": (1, config["pos_embed_max_size"] ** 2, width),
        "x_embedder.proj.weight": (width, config["in_channels"], patch, patch),
        "x_embedder.proj.bias": (width,),
    }
    for i in range(last + 1):
        for side in ("x", "context"):
            block, ends = f"joint_blocks.{i}.{side}_block", side == "context" and i == last
            doubled = side == "x" and i in twice
            linear[f"{block}.adaLN_modulation.1"] = ((2 if ends else 9 if doubled else 6) * width, width)
            for attention in ("attn", "attn2") if doubled else ("attn",):
                linear[f"{block}.{attention}.qkv"] = (3 * width, width)
                if not ends:
                    linear[f"{block}.{attention}.proj"] = (width, width)
                if config.get("qk_norm"):
                    shapes |= {f"{block}.{attention}.ln_{which}.weight": (head,) for which in "qk"}
            if not ends:
                linear |= {f"{block}.mlp.fc1": (4 * width, width), f"{block}.mlp.fc2": (width, 4 * width)}
    for name, shape in linear.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return shapes
