"""The networks of Dhariwal & Nichol 2021 (arXiv:2105.05233) as a UNet2DModel, and their files' names.

The blocks are those that diffusers has under other names: residual blocks that scale and shift by the time, that halve
and double the picture themselves, and attention over heads of 64 channels.  So a file becomes a UNet2DModel by names:

    input_blocks.N    conv_in, then the residual blocks of each level, each with its attention, and what halves it
    middle_block.N    residual block, attention, residual block
    output_blocks.N   the residual blocks of each level from the deepest on, the last of them with what doubles it
    time_embed, label_emb, out    time_embedding, class_embedding, conv_norm_out and conv_out

Queries, keys and values lie in one tensor, each head's three together; in files with what the authors call the new
order all queries come first, which their config says by "_attention_order": "new".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from diffusers.models.embeddings import TimestepEmbedding, Timesteps
from diffusers.models.unets.unet_2d import UNet2DModel
from torch import Tensor

from retouch.api.families import BrokenModel

_LAYERS = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
    "op": "conv",  # of what halves by a convolution alone, as older files have it
    "norm": "group_norm",
    "proj_out": "to_out.0",
}
_ENDS = {
    "input_blocks.0.0": "conv_in",
    "time_embed.0": "time_embedding.linear_1",
    "time_embed.2": "time_embedding.linear_2",
    "label_emb": "class_embedding",
    "out.0": "conv_norm_out",
    "out.2": "conv_out",
}


class GuidedDiffusionUNet(UNet2DModel):
    """A UNet2DModel whose time is told by more numbers than its first convolution has channels, as of 512 pixels."""

    def __init__(self, *, time_channels: int, **options: Any) -> None:
        super().__init__(**options)
        self.time_proj = Timesteps(time_channels, flip_sin_to_cos=True, downscale_freq_shift=0)
        self.time_embedding = TimestepEmbedding(time_channels, 4 * time_channels)


def by_own_names(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> dict[str, Tensor]:
    """Rename a file's tensors to those of a UNet2DModel with this config."""
    blocks, made = dict(_blocks(config)), dict[str, Tensor]()
    # The older order has queries, keys and values of a head together, the new one all queries first.
    heads_first = config.get("_attention_order") != "new"
    for name, tensor in tensors.items():
        stem, _, leaf = name.rpartition(".")
        if stem in _ENDS:
            made[f"{_ENDS[stem]}.{leaf}"] = tensor
            continue
        theirs = ".".join(name.split(".")[: 2 if name.startswith("middle_block.") else 3])
        if theirs not in blocks:
            raise BrokenModel(f"it has '{name}', and a network of this config has no such block")
        layer = stem[len(theirs) + 1 :]
        if layer == "qkv":
            parts = _apart(tensor, config["attention_head_dim"] if heads_first else len(tensor) // 3)
            made |= {f"{blocks[theirs]}.to_{which}.{leaf}": each for which, each in zip("qkv", parts, strict=True)}
        else:
            own = _LAYERS.get(layer, layer)
            made[f"{blocks[theirs]}.{own}.{leaf}"] = _flat(tensor) if layer == "proj_out" else tensor
    return made


def _blocks(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each block that is no end of the network, by their name and ours."""
    layers, levels = config["layers_per_block"], len(config["block_out_channels"])
    count = 1
    for i, kind in enumerate(config["down_block_types"]):
        for layer in range(layers):
            yield from _pair(f"input_blocks.{count}", f"down_blocks.{i}", layer, attends=kind.startswith("Attn"))
            count += 1
        if i + 1 < levels:
            yield f"input_blocks.{count}.0", f"down_blocks.{i}.downsamplers.0"
            count += 1
    for number, own in enumerate(("resnets.0", "attentions.0", "resnets.1")):
        yield f"middle_block.{number}", f"mid_block.{own}"
    for i, kind in enumerate(config["up_block_types"]):
        attends, first = kind.startswith("Attn"), i * (layers + 1)
        for layer in range(layers + 1):
            yield from _pair(f"output_blocks.{first + layer}", f"up_blocks.{i}", layer, attends=attends)
        if i + 1 < levels:
            yield f"output_blocks.{first + layers}.{1 + attends}", f"up_blocks.{i}.upsamplers.0"


def _pair(theirs: str, block: str, layer: int, *, attends: bool) -> Iterator[tuple[str, str]]:
    yield f"{theirs}.0", f"{block}.resnets.{layer}"
    if attends:
        yield f"{theirs}.1", f"{block}.attentions.{layer}"


def _apart(qkv: Tensor, side: int) -> Sequence[Tensor]:
    """Queries, keys and values, which lie in turns of `side` rows.  [3 * C, C, 1] or [3 * C] -> 3 of [C, C] or [C]"""
    return [each.flatten(0, 1) for each in _flat(qkv).unflatten(0, (-1, 3, side)).unbind(1)]


def _flat(tensor: Tensor) -> Tensor:
    """The weight of a convolution over one pixel as that of a linear layer, [C, D, 1] -> [C, D]; a bias as it is."""
    return tensor.flatten(1) if tensor.ndim > 1 else tensor
