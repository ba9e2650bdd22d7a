"""What is known of a model before its weights are loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from retouch.core.grid import Grid
from retouch.core.touches import Site
from retouch.models.digest import fingerprint
from retouch.models.errors import BrokenModel
from retouch.models.layout import CARD, CONFIGS, WEIGHTS, check_tokenizer, read_json, weights_file
from retouch.models.unet.levels import noise_levels
from retouch.models.unet.sites import attention_sites, levels_of


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
    grid: Grid  # the levels that a walk may visit
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
    """Read the configs of a model folder and check that they belong together."""
    unet, vae, text, scheduler = (read_json(folder, config) for config in CONFIGS.values())
    check_tokenizer(folder)
    weights = [weights_file(folder, part) for part in WEIGHTS]
    card = read_json(folder, CARD) if (folder / CARD).exists() else {}
    try:
        _check(unet, vae, text)
        scale = 2 ** (levels_of(vae) - 1)
        trained = unet["sample_size"] * scale
        return ModelInfo(
            name=name,
            folder=folder,
            revision=revision,
            channels=unet["in_channels"],
            scale=scale,
            multiple=scale * 2 ** (levels_of(unet) - 1),
            trained_size=trained,
            largest_side=card.get("largest_side", 2 * trained),
            grid=noise_levels(scheduler).grid,
            tokens=text["max_position_embeddings"],
            prediction=_prediction(scheduler),
            space=fingerprint([weights_file(folder, "vae")]),
            digest=fingerprint(weights),
            sites=attention_sites(unet),
            card=MappingProxyType(card),
        )
    except (KeyError, TypeError) as why:
        raise BrokenModel(f"a config of '{folder}' lacks or misstates {why}") from None
    except BrokenModel as why:
        raise BrokenModel(f"'{folder}' cannot be used: {why}") from None


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
