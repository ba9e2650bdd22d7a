"""Stable Diffusion 1 and 2: a UNet that reads one text, and denoises the latents of a VAE.  Rombach et al. 2022."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Literal

from retouch.api.families import (
    BrokenModel,
    Described,
    Loaded,
    Loading,
    PromptReading,
    Read,
    noise_levels,
    same_channels,
    same_width,
    unet_levels,
    unet_memory,
    unet_sites,
    vae_memory,
    wants_no_more,
)
from retouch_models.published import PUBLISHED

if TYPE_CHECKING:
    from retouch.api import Schedule

# What some networks of this class want to be told, and these are not.
_MORE = ("addition_embed_type", "class_embed_type", "encoder_hid_dim_type", "time_cond_proj_dim")


class StableDiffusion:
    """Versions 1 and 2, in epsilon and v-prediction, and whatever has their parts, such as the embedded model."""

    name = "Stable Diffusion 1/2"
    published = PUBLISHED["StableDiffusionPipeline"]
    kinds = ("sd1", "sd2")

    def describe(self, read: Read) -> Described:
        """Read the configs, and insist that they belong together."""
        unet, vae, text = (read(f"{part}/config.json") for part in ("unet", "vae", "text_encoder"))
        # A text-to-image model takes and gives latents, is told a time and a text, and nothing else
        same_channels(unet["in_channels"], unet["out_channels"], vae["latent_channels"])
        wants_no_more(unet, _MORE)
        same_width(unet["cross_attention_dim"], text["hidden_size"])
        scale = 2 ** (unet_levels(vae) - 1)
        return Described(
            channels=unet["in_channels"],
            scale=scale,
            multiple=scale * 2 ** (unet_levels(unet) - 1),
            trained_size=unet["sample_size"] * scale,
            tokens=text["max_position_embeddings"],
            prediction=prediction(read),
            parts=("unet", "vae", "text_encoder"),
            tokenizers=("tokenizer",),
            reads={"tokenizer": PromptReading(text["max_position_embeddings"])},
            sites=unet_sites(unet),
            learns_words=("text_encoder",),
            grid=noise_levels(read("scheduler/scheduler_config.json")).grid,
            working=unet_memory(unet, vae_memory(vae["block_out_channels"])),
        )

    def schedule(self, read: Read, steps: int, size: tuple[int, int]) -> Schedule:
        """The grid of diffusers' DDIMScheduler over the trained noise levels."""
        from retouch.api.kit import ddim_schedule

        return ddim_schedule(read("scheduler/scheduler_config.json"), steps)

    def spellings(self, modules: Iterable[str], read: Read) -> Mapping[str, tuple[str, ...]]:
        """The authors' own names of layers, for files of LoRA."""
        from retouch_models import spellings

        return spellings.unet(modules, read("unet/config.json"))

    def load(self, known: Described, parts: Loading) -> Loaded:
        """Load the UNet, the VAE and CLIP's text model."""
        from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
        from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

        from retouch.api.kit import Texts, UNet, VaeCodec, alone, clip_encoder

        return Loaded(
            UNet(parts.diffusers(UNet2DConditionModel, "unet")),
            VaeCodec.of(parts.diffusers(AutoencoderKL, "vae"), known),
            Texts([clip_encoder(parts, known.tokens)], alone),
        )


def prediction(read: Read) -> Literal["epsilon", "v_prediction"]:
    """Return what the network predicts, as its scheduler says."""
    match read("scheduler/scheduler_config.json").get("prediction_type", "epsilon"):
        case "epsilon" | "v_prediction" as kind:
            return kind
        case other:
            raise BrokenModel(f"it predicts '{other}', and only epsilon and v_prediction are known")


FAMILY = StableDiffusion()
