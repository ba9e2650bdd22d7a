"""Tensors that show whether a single file is what the configs beside it describe.  No torch.

A file has its authors' names, which diffusers replaces when all is loaded.  These few are known under both, and their
shapes are fixed by a config: that a file is another model's is told before anything loads.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from retouch.models.errors import BrokenModel
from retouch.models.files.configs import Config
from retouch.models.files.kinds import kind_of
from retouch.models.files.model_files import ModelFiles
from retouch.models.files.parts import by_sides, vae_shapes

Sides = tuple[int | None, ...]


class Landmark(NamedTuple):
    """A tensor by its names, the authors' and diffusers', and its sides.

    sides: None is any of one; no sides at all, it must not be there.
    """

    name: str  # a pattern
    sides: Sides | None


def check_landmarks(files: ModelFiles, part: str) -> None:
    """Insist that a part in a single file is of the class and shapes that its config states.  Raises BrokenModel."""
    held, config = files.inside[part], Config(files.read(f"{part}/config.json"), f"{part}/config.json")
    kind = str(config.get("_class_name"))
    if (known := _KNOWN.get(kind)) is None:
        return
    tensors = {name.removeprefix(held.prefix): stored for name, stored in held.tensors().items()}
    for landmark in known(config):
        found = next((name for name in tensors if re.fullmatch(landmark.name, name)), None)
        if (found is None) != (landmark.sides is None):
            other = kind_of(held.tensors())
            called = f"'{held.file.name}', {other.title}," if other else f"'{held.file.name}'"
            does, not_ = ("has", " not") if found else ("lacks", "")
            raise BrokenModel(f"{called} {does} {_said(landmark)}, which the {kind} of the configs has{not_}")
        if found and landmark.sides and not _fits(tensors[found].shape, landmark.sides):
            sides = by_sides(tensors[found].shape), by_sides(landmark.sides)
            raise BrokenModel(f"'{held.file.name}': {found} is {sides[0]}, and the config says {sides[1]}")


def _said(landmark: Landmark) -> str:
    return landmark.name.partition("|")[0].replace("\\", "")


def _fits(found: tuple[int, ...], wanted: Sides) -> bool:
    return len(found) == len(wanted) and all(want in (None, side) for side, want in zip(found, wanted, strict=True))


def _unet(config: Config) -> Iterator[Landmark]:
    first = config.wholes("block_out_channels")[0]
    into, out = config.get("conv_in_kernel", 3), config.get("conv_out_kernel", 3)
    yield Landmark(r"input_blocks\.0\.0\.weight|conv_in\.weight", (first, config["in_channels"], into, into))
    yield Landmark(r"out\.2\.weight|conv_out\.weight", (config["out_channels"], first, out, out))
    told = config.get("addition_embed_type") == "text_time"
    sides = (4 * first, config["projection_class_embeddings_input_dim"]) if told else None
    yield Landmark(r"label_emb\.0\.0\.weight|add_embedding\.linear_1\.weight", sides)
    if isinstance(width := config.get("cross_attention_dim"), int):
        yield Landmark(r".*\.attn2\.to_k\.weight", (None, width))


def _sd3(config: Config) -> Iterator[Landmark]:
    width, side = _width(config), config["patch_size"]
    yield Landmark(r"x_embedder\.proj\.weight|pos_embed\.proj\.weight", (width, config["in_channels"], side, side))
    yield Landmark(r"context_embedder\.weight", (config["caption_projection_dim"], config["joint_attention_dim"]))
    yield Landmark(
        r"joint_blocks\.0\.x_block\.attn\.qkv\.weight|transformer_blocks\.0\.attn\.to_q\.weight", (None, width)
    )
    normed = (None,) if config.get("qk_norm") else None
    yield Landmark(r"joint_blocks\.0\.x_block\.attn\.ln_q\.weight|transformer_blocks\.0\.attn\.norm_q\.weight", normed)


def _flux(config: Config) -> Iterator[Landmark]:
    yield from _flux2(config)
    told = (_width(config), None) if config.get("guidance_embeds") else None
    yield Landmark(r"guidance_in\.in_layer\.weight|time_text_embed\.guidance_embedder\.linear_1\.weight", told)


def _flux2(config: Config) -> Iterator[Landmark]:
    width = _width(config)
    yield Landmark(r"img_in\.weight|x_embedder\.weight", (width, config["in_channels"]))
    yield Landmark(r"txt_in\.weight|context_embedder\.weight", (width, config["joint_attention_dim"]))
    yield Landmark(r"double_blocks\.0\.img_attn\.qkv\.weight|transformer_blocks\.0\.attn\.to_q\.weight", (None, width))


def _qwen_image(config: Config) -> Iterator[Landmark]:
    width = _width(config)
    yield Landmark(r"img_in\.weight", (width, config["in_channels"]))
    yield Landmark(r"txt_in\.weight", (width, config["joint_attention_dim"]))
    yield Landmark(r"txt_norm\.weight", (None,))


def _z_image(config: Config) -> Iterator[Landmark]:
    yield Landmark(r"cap_embedder\.1\.weight", (config["dim"], config["cap_feat_dim"]))
    yield Landmark(r"noise_refiner\.0\.attention\.(?:qkv|to_q)\.weight", (None, config["dim"]))


def _width(config: Config) -> int:
    return config["num_attention_heads"] * config["attention_head_dim"]


def _vae(config: Config) -> Iterator[Landmark]:
    for name, sides in vae_shapes(config):  # which authors and diffusers call alike
        yield Landmark(re.escape(name), sides)


def _frames(config: Config) -> Iterator[Landmark]:
    """A VAE of videos, in diffusers' names."""
    width, levels = config["base_dim"], config["dim_mult"]
    yield Landmark(r"decoder\.conv_in\.weight", (width * levels[-1], config["z_dim"], 3, 3, 3))


_KNOWN: Mapping[str, Callable[[Config], Iterator[Landmark]]] = {
    "AutoencoderKL": _vae,
    "AutoencoderKLFlux2": _vae,
    "AutoencoderKLQwenImage": _frames,
    "Flux2Transformer2DModel": _flux2,
    "FluxTransformer2DModel": _flux,
    "QwenImageTransformer2DModel": _qwen_image,
    "SD3Transformer2DModel": _sd3,
    "UNet2DConditionModel": _unet,
    "ZImageTransformer2DModel": _z_image,
}
