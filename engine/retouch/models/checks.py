"""Configs and headers of the parts that many families share, held to what their libraries can take.

A config that lies about a count would have a library build layers for hours; one of a wrong type has it blame itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from retouch.models.errors import BrokenModel, MissingFile
from retouch.models.files.configs import WIDEST, Config
from retouch.models.files.headers import Stored
from retouch.models.files.landmarks import check_landmarks
from retouch.models.files.layout import INDEX
from retouch.models.files.model_files import ModelFiles
from retouch.models.files.parts import (
    check_part,
    check_shapes,
    count_of,
    text_shapes,
    unet2d_shapes,
    unet_shapes,
    vae_shapes,
)
from retouch.models.kit.unet_sites import levels_of

MOST_LEVELS = 10  # resolutions of a network: a cell of the deepest is then 512 of the first
SCHEDULER = "scheduler/scheduler_config.json"

# What configs of transformers state instead of their class.
_MODEL_TYPES = {
    "CLIPTextModel": "clip_text_model",
    "CLIPTextModelWithProjection": "clip_text_model",
    "T5EncoderModel": "t5",
    "Qwen3ForCausalLM": "qwen3",
    "Qwen2_5_VLForConditionalGeneration": "qwen2_5_vl",
}

Tensors = Mapping[str, Stored]


def check_configs(files: ModelFiles) -> None:
    """Check the configs of a model: that they are of the classes that its index states, their types and bounds.

    Of classes that are not known here only what holds for all: every number is one, and no count of layers exceeds that
    of tensors.
    """
    stated = files.read(INDEX) if (files.configs / INDEX).exists() else {}
    for file in files.config_names():
        part = file.partition("/")[0]
        config = Config(files.read(file), file)
        match stated.get(part):
            case [str(), str(name)]:
                key = "model_type" if name in _MODEL_TYPES else "_class_name"
                config.of_class(key, _MODEL_TYPES.get(name, name))
            case _:
                pass
        with suppress(MissingFile):  # a part that no family here needs may lack its weights
            check_part(config, files.weights(part), files.tensors(part))
        if check := _CONFIGS.get(_class_of(config)):
            check(config)
    if files.has_config(SCHEDULER):
        _check_levels(Config(files.read(SCHEDULER), SCHEDULER))


def check_weights(files: ModelFiles, part: str) -> None:
    """Check what the headers of a part say, and what they say of its config.

    Of a single file, whose names are the authors', a few tensors; all when the names have been replaced, at load.
    """
    name, weights = f"{part}/config.json", files.weights(part)
    config = Config(files.read(name), name)
    tensors = check_part(config, weights, files.tensors(part))
    if part in files.inside:
        check_landmarks(files, part)
    elif check := _WEIGHTS.get(_class_of(config)):
        check(config, weights, tensors)


def _class_of(config: Config) -> str:
    return str(config.get("_class_name") or config.get("model_type"))


def _check_network(config: Config) -> None:
    """A UNet or a VAE: so many blocks of such widths."""
    channels = config.wholes("block_out_channels")
    groups = config.whole("norm_num_groups", default=32)
    if len(channels) > MOST_LEVELS or any(width % groups for width in channels):
        raise config.misstated("block_out_channels", f"up to {MOST_LEVELS} multiples of norm_num_groups ({groups})")
    for key in ("down_block_types", "up_block_types"):
        config.texts(key, levels_of(config))


def _check_unet(unet: Config) -> None:
    _check_network(unet)
    for key in ("in_channels", "out_channels"):
        unet.whole(key, most=4096)
    unet.whole("sample_size")
    if "layers_per_block" in unet:
        unet.wholes("layers_per_block", levels_of(unet), 64)


def _check_unet2d(unet: Config) -> None:
    """A UNet without a text: heads of a stated width, or one head where nothing is stated."""
    _check_network(unet)
    for key in ("in_channels", "out_channels"):
        unet.whole(key, most=4096, default=3)
    if isinstance(unet.get("sample_size"), list):
        unet.wholes("sample_size", 2)
    else:
        unet.whole("sample_size")
    unet.whole("layers_per_block", most=64, default=2)
    if unet.get("num_class_embeds") is not None:
        unet.whole("num_class_embeds", most=WIDEST)
    if unet.get("attention_head_dim", 8) is not None:
        side = unet.whole("attention_head_dim", default=8)
        for kind, width in zip(unet["down_block_types"], unet["block_out_channels"], strict=True):
            if kind == "AttnDownBlock2D" and width % side:
                raise unet.misstated("attention_head_dim", f"a divisor of {width}, where it attends")


def _check_vae(vae: Config) -> None:
    _check_network(vae)
    vae.whole("latent_channels", most=4096)
    if vae.number("scaling_factor", 0, 1e6, 0.18215) <= 0:
        raise vae.misstated("scaling_factor", "a number above 0")


def _check_text(text: Config) -> None:
    width = text.whole("hidden_size")
    if width % text.whole("num_attention_heads", most=1024):
        raise text.misstated("num_attention_heads", f"a divisor of hidden_size ({width})")
    text.whole("max_position_embeddings", most=65536, least=2)


def _check_levels(scheduler: Config) -> None:
    scheduler.whole("num_train_timesteps", 1, 100_000, default=1000)
    scheduler.whole("steps_offset", 0, 1000, default=0)
    low, high = scheduler.number("beta_start", 0, 1, 0.0001), scheduler.number("beta_end", 0, 1, 0.02)
    scheduler.one_of("beta_schedule", ("linear", "scaled_linear", "squaredcos_cap_v2"), "linear")
    scheduler.one_of("timestep_spacing", ("leading", "trailing", "linspace"), "leading")
    if not 0 < low <= high < 1:
        raise scheduler.misstated("beta_start", f"a number above 0 and up to beta_end ({high:g})")
    betas = scheduler.get("trained_betas")
    if betas is not None and not (
        isinstance(betas, list) and betas and all(type(beta) in (int, float) and 0 < beta < 1 for beta in betas)
    ):
        raise scheduler.misstated("trained_betas", "a list of numbers between 0 and 1")


def _unet_weights(unet: Config, weights: Path, tensors: Tensors) -> None:
    check_shapes(weights, tensors, unet_shapes(unet))
    _check_count(unet, "block_out_channels", count_of(tensors, "down_blocks"), levels_of(unet))


def _unet2d_weights(unet: Config, weights: Path, tensors: Tensors) -> None:
    check_shapes(weights, tensors, unet2d_shapes(unet))
    _check_count(unet, "block_out_channels", count_of(tensors, "down_blocks"), levels_of(unet))


def _vae_weights(vae: Config, weights: Path, tensors: Tensors) -> None:
    check_shapes(weights, tensors, vae_shapes(vae))
    _check_count(vae, "block_out_channels", count_of(tensors, "encoder.down_blocks"), levels_of(vae))


def _text_weights(text: Config, weights: Path, tensors: Tensors) -> None:
    prefix = "text_model." if any(name.startswith("text_model.") for name in tensors) else ""
    check_shapes(weights, tensors, text_shapes(text, prefix))
    layers = text.whole("num_hidden_layers", most=1024)
    _check_count(text, "num_hidden_layers", count_of(tensors, f"{prefix}encoder.layers"), layers)


def _check_count(config: Config, key: str, found: int, said: int) -> None:
    if found != said:
        raise BrokenModel(f"{config.name} says {said} by {key}, and the weights have {found}")


_CONFIGS: Mapping[str, Callable[[Config], None]] = {
    "UNet2DConditionModel": _check_unet,
    "UNet2DModel": _check_unet2d,
    "AutoencoderKL": _check_vae,
    "clip_text_model": _check_text,
}
_WEIGHTS: Mapping[str, Callable[[Config, Path, Tensors], None]] = {
    "UNet2DConditionModel": _unet_weights,
    "UNet2DModel": _unet2d_weights,
    "AutoencoderKL": _vae_weights,
    "clip_text_model": _text_weights,
}
