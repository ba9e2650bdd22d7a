"""What the headers of a Stable Diffusion's weights say of its configs: told before anything heavy is loaded.

The loader compares every name and shape; these are the few that show at once that a file is another model's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path

from retouch.models.errors import BrokenModel
from retouch.models.files.configs import Config, check_numbers
from retouch.models.files.headers import FLOATS, Stored

Shapes = Iterable[tuple[str, tuple[int, ...]]]
_COUNTS = ("position_ids", "num_batches_tracked")  # which are stored beside weights, and are none


def check_part(config: Config, weights: Path, tensors: Mapping[str, Stored]) -> Mapping[str, Stored]:
    """Check what holds for any part of any model: its numbers, its header, its types.  Returns its tensors."""
    check_numbers(config, len(tensors))
    for name, stored in tensors.items():
        if stored.dtype not in FLOATS and not name.endswith(_COUNTS):
            raise BrokenModel(f"'{weights}': {name} is of the type {stored.dtype}, and weights are fractions")
    return tensors


def check_shapes(weights: Path, tensors: Mapping[str, Stored], shapes: Shapes) -> None:
    """Insist on these shapes of these tensors."""
    for name, shape in shapes:
        if name not in tensors:
            raise BrokenModel(f"'{weights}' lacks {name}")
        if (found := tensors[name].shape) != shape:
            raise BrokenModel(f"'{weights}': {name} is {by_sides(found)}, and the config says {by_sides(shape)}")


def count_of(tensors: Iterable[str], prefix: str) -> int:
    """How many blocks are numbered behind a prefix."""
    found = (re.match(rf"{re.escape(prefix)}\.(\d+)\.", name) for name in tensors)
    return 1 + max((int(each[1]) for each in found if each), default=-1)


def unet_shapes(config: Config) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Tensors of a UNet2DConditionModel that its config fixes."""
    channels = config.wholes("block_out_channels")
    first = channels[0]
    into, out = config.get("conv_in_kernel", 3), config.get("conv_out_kernel", 3)
    yield "conv_in.weight", (first, config["in_channels"], into, into)
    yield "conv_out.weight", (config["out_channels"], first, out, out)
    yield "time_embedding.linear_1.weight", (4 * first, first)
    for i, (before, width) in enumerate(pairwise((first, *channels))):
        yield f"down_blocks.{i}.resnets.0.conv1.weight", (width, before, 3, 3)


def unet2d_shapes(config: Config) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Tensors of a UNet2DModel that its config fixes."""
    channels = config.wholes("block_out_channels")
    yield "conv_in.weight", (channels[0], config.get("in_channels", 3), 3, 3)
    yield "conv_out.weight", (config.get("out_channels", 3), channels[0], 3, 3)
    for i, (before, width) in enumerate(pairwise((channels[0], *channels))):
        yield f"down_blocks.{i}.resnets.0.conv1.weight", (width, before, 3, 3)
    if (classes := config.get("num_class_embeds")) is not None:
        yield "class_embedding.weight", (classes, config.get("time_embedding_dim") or 4 * channels[0])


def vae_shapes(config: Config) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Tensors of an AutoencoderKL that its config fixes."""
    channels, cells = config.wholes("block_out_channels"), config["latent_channels"]
    yield "encoder.conv_in.weight", (channels[0], 3, 3, 3)
    yield "decoder.conv_in.weight", (channels[-1], cells, 3, 3)
    yield "decoder.conv_out.weight", (3, channels[0], 3, 3)


def text_shapes(config: Config, prefix: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Tensors of a CLIP text model that its config fixes."""
    width = config.whole("hidden_size")
    yield f"{prefix}embeddings.token_embedding.weight", (config.whole("vocab_size", most=2**22), width)
    yield f"{prefix}embeddings.position_embedding.weight", (config["max_position_embeddings"], width)
    yield f"{prefix}encoder.layers.0.mlp.fc1.weight", (config.whole("intermediate_size"), width)
    yield f"{prefix}final_layer_norm.weight", (width,)


def by_sides(shape: Iterable[int | None]) -> str:
    """A shape in words; None is any side."""
    return " x ".join("any" if side is None else str(side) for side in shape) or "a number"
