"""What is known of a model before its weights are loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from retouch.core.touches import Site
from retouch.models.configs import Config
from retouch.models.digest import fingerprint
from retouch.models.errors import BrokenModel, MissingFile
from retouch.models.layout import CARD, CONFIGS, WEIGHTS, weights_file, weights_files
from retouch.models.parts import check_part, check_shapes, count_of, text_shapes, unet_shapes, vae_shapes
from retouch.models.tokens import vocabulary_size
from retouch.models.unet.sites import attention_sites, levels_of

MOST_LEVELS = 10  # resolutions of a network: a cell of the deepest is then 512 of the first


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A Stable Diffusion model on this machine, read from its configs; no weights, no torch."""

    name: str
    folder: Path
    revision: str | None  # commit hash, for a model from the hub
    channels: int  # of a latent
    scale: int  # pixels per latent cell, along one side
    multiple: int  # sides of a picture, in pixels, must be multiples of this
    trained_size: int  # pixels
    largest_side: int  # pixels; what the card promises, else twice the trained size
    tokens: int  # of a prompt, with its two ends
    prediction: Literal["epsilon", "v_prediction"]
    space: str  # fingerprint of the VAE: models that share it can exchange latents
    digest: str  # fingerprint of all weights
    sites: tuple[Site, ...] = field(repr=False)
    card: Mapping[str, Any] = field(repr=False)  # what card.json says, if there is one

    @property
    def defaults(self) -> Mapping[str, Any]:
        """Options that suit this model, from its card."""
        return self.card.get("defaults", {})

    @property
    def stages(self) -> Mapping[str, Mapping[str, Any]]:
        """Options that suit it in a turn with one stage, such as {"invert null_text": {"guidance": 1.5}}."""
        return self.card.get("stages", {})


def describe(name: str, folder: Path, revision: str | None = None) -> ModelInfo:
    """Read the configs and headers of a model folder and check that they belong together."""
    unet, vae, text, scheduler = (Config.read(folder, config) for config in CONFIGS.values())
    words = vocabulary_size(folder)
    weights = {part: weights_file(folder, part) for part in WEIGHTS}
    try:
        card = _card(folder)
        _check_configs(unet, vae, text, scheduler)
        _check(unet, vae, text)
        _check_weights(weights, unet, vae, text, words)
        scale = 2 ** (levels_of(vae) - 1)
        trained = unet.whole("sample_size") * scale
        return ModelInfo(
            name=name,
            folder=folder,
            revision=revision,
            channels=unet["in_channels"],
            scale=scale,
            multiple=scale * 2 ** (levels_of(unet) - 1),
            trained_size=trained,
            largest_side=card.whole("largest_side", default=2 * trained),
            tokens=text["max_position_embeddings"],
            prediction=_prediction(scheduler),
            space=fingerprint(weights_files(weights["vae"])),
            digest=fingerprint(file for path in weights.values() for file in weights_files(path)),
            sites=attention_sites(unet),
            card=MappingProxyType(dict(card)),
        )
    except (KeyError, TypeError, IndexError, ArithmeticError, AttributeError) as why:
        raise BrokenModel(f"a config of '{folder}' lacks or misstates {why}") from None
    except OSError as why:
        raise BrokenModel(f"'{folder}' cannot be read: {why.strerror or why}") from None
    except MissingFile:
        raise
    except BrokenModel as why:
        raise BrokenModel(f"'{folder}' cannot be used: {why}") from None


def _card(folder: Path) -> Config:
    card = Config.read(folder, CARD) if (folder / CARD).exists() else Config({}, CARD)
    for key in ("defaults", "stages"):
        if not isinstance(card.get(key, {}), dict):
            raise card.misstated(key, "a table of options")
    for key, options in card.get("stages", {}).items():
        if not isinstance(options, dict):
            raise BrokenModel(f"{CARD} gives no table of options for '{key}'")
    return card


def _check_configs(unet: Config, vae: Config, text: Config, scheduler: Config) -> None:
    """Types and bounds of all that is read here or by the libraries."""
    unet.of_class("_class_name", "UNet2DConditionModel")
    vae.of_class("_class_name", "AutoencoderKL")
    text.of_class("model_type", "clip_text_model")
    for config in (unet, vae):
        channels = config.wholes("block_out_channels")
        groups = config.whole("norm_num_groups", default=32)
        if len(channels) > MOST_LEVELS or any(width % groups for width in channels):
            raise config.misstated("block_out_channels", f"up to {MOST_LEVELS} multiples of norm_num_groups ({groups})")
    for key in ("down_block_types", "up_block_types"):
        unet.texts(key, levels_of(unet))
        vae.texts(key, levels_of(vae))
    for config, keys in ((unet, ("in_channels", "out_channels")), (vae, ("latent_channels",))):
        for key in keys:
            config.whole(key, most=4096)
    width = text.whole("hidden_size")
    if width % text.whole("num_attention_heads", most=1024):
        raise text.misstated("num_attention_heads", f"a divisor of hidden_size ({width})")
    text.whole("max_position_embeddings", most=65536, least=2)
    if "layers_per_block" in unet:
        unet.wholes("layers_per_block", levels_of(unet), 64)
    if vae.number("scaling_factor", 0, 1e6, 0.18215) <= 0:
        raise vae.misstated("scaling_factor", "a number above 0")
    _check_levels(scheduler)


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


def _check_weights(weights: Mapping[str, Path], unet: Config, vae: Config, text: Config, words: int) -> None:
    """The headers, and what they say of the configs."""
    tensors = check_part(unet, weights["unet"])
    check_shapes(weights["unet"], tensors, unet_shapes(unet))
    _check_count(unet, "block_out_channels", count_of(tensors, "down_blocks"), levels_of(unet))
    tensors = check_part(vae, weights["vae"])
    check_shapes(weights["vae"], tensors, vae_shapes(vae))
    _check_count(vae, "block_out_channels", count_of(tensors, "encoder.down_blocks"), levels_of(vae))
    tensors = check_part(text, weights["text_encoder"])
    prefix = "text_model." if any(name.startswith("text_model.") for name in tensors) else ""
    check_shapes(weights["text_encoder"], tensors, text_shapes(text, prefix))
    layers = text.whole("num_hidden_layers", most=1024)
    _check_count(text, "num_hidden_layers", count_of(tensors, f"{prefix}encoder.layers"), layers)
    if words > text["vocab_size"]:
        raise BrokenModel(f"the tokenizer has {words} words, the text encoder {text['vocab_size']}")


def _check_count(config: Config, key: str, found: int, said: int) -> None:
    if found != said:
        raise BrokenModel(f"{config.name} says {said} by {key}, and the weights have {found}")


def _prediction(scheduler: Mapping[str, Any]) -> Literal["epsilon", "v_prediction"]:
    match scheduler.get("prediction_type", "epsilon"):
        case "epsilon" | "v_prediction" as kind:
            return kind
        case other:
            raise BrokenModel(f"it predicts '{other}', and only epsilon and v_prediction are known")


def _check(unet: Mapping[str, Any], vae: Mapping[str, Any], text: Mapping[str, Any]) -> None:
    """A text-to-image model takes and gives latents, is told a time and a text, and nothing else."""
    takes, gives, cells = unet["in_channels"], unet["out_channels"], vae["latent_channels"]
    if not takes == gives == cells:
        raise BrokenModel(
            f"the network takes {takes} channels and gives {gives}, a latent has {cells}; "
            "inpainting and instruction models are not text-to-image models"
        )
    for option in ("addition_embed_type", "class_embed_type", "encoder_hid_dim_type", "time_cond_proj_dim"):
        if unet.get(option) is not None:
            raise BrokenModel(f"the network wants more than a text ({option} is {unet[option]!r})")
    if unet["cross_attention_dim"] != text["hidden_size"]:
        raise BrokenModel(
            f"the network reads text of width {unet['cross_attention_dim']}, "
            f"the text encoder writes width {text['hidden_size']}"
        )
