"""Stable Diffusion XL: a UNet that reads two texts side by side, a pooled one, and sizes.  Podell et al. 2023."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

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
from retouch_models.stable_diffusion import prediction

if TYPE_CHECKING:
    from retouch.api import Schedule

_MORE = ("class_embed_type", "encoder_hid_dim_type", "time_cond_proj_dim")
_SIZES = 6  # numbers that the network is told: height and width before a crop, where it began, height and width wanted


class StableDiffusionXL:
    """The base model, in epsilon and v-prediction, and whatever is trained on from it."""

    name = "Stable Diffusion XL"
    published = PUBLISHED["StableDiffusionXLPipeline"]
    kinds = ("sdxl",)

    def describe(self, read: Read) -> Described:
        """Read the configs, and insist that they belong together."""
        unet, vae = read("unet/config.json"), read("vae/config.json")
        small, large = read("text_encoder/config.json"), read("text_encoder_2/config.json")
        # The network is told two texts, side by side, one of them pooled, and sizes
        same_channels(unet["in_channels"], unet["out_channels"], vae["latent_channels"])
        wants_no_more(unet, _MORE)
        if unet.get("addition_embed_type") != "text_time":
            raise BrokenModel(f"the network is told '{unet.get('addition_embed_type')}' of a text, and XL 'text_time'")
        same_width(unet["cross_attention_dim"], small["hidden_size"] + large["hidden_size"])
        pooled = unet["projection_class_embeddings_input_dim"] - _SIZES * unet["addition_time_embed_dim"]
        same_width(pooled, large["projection_dim"], "a pooled text")
        scale = 2 ** (unet_levels(vae) - 1)
        return Described(
            channels=unet["in_channels"],
            scale=scale,
            multiple=scale * 2 ** (unet_levels(unet) - 1),
            trained_size=unet["sample_size"] * scale,
            tokens=small["max_position_embeddings"],
            prediction=prediction(read),
            parts=("unet", "vae", "text_encoder", "text_encoder_2"),
            tokenizers=("tokenizer", "tokenizer_2"),
            reads=dict.fromkeys(("tokenizer", "tokenizer_2"), PromptReading(small["max_position_embeddings"])),
            sites=unet_sites(unet),
            learns_words=("text_encoder", "text_encoder_2"),
            grid=noise_levels(read("scheduler/scheduler_config.json")).grid,
            working=unet_memory(unet, vae_memory(vae["block_out_channels"])),
            defaults={"guidance": 5.0},
            stages={"schedule ays": {"table": "sdxl"}},
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
        """Load the UNet, the VAE and both of CLIP's text models."""
        from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
        from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

        from retouch.api.kit import Texts, VaeCodec, clip_encoder, clip_inner
        from retouch_models.networks.sdxl import UNetXL, joined

        zeroed = parts.config("model_index.json").get("force_zeros_for_empty_prompt", True)
        small = clip_encoder(parts, known.tokens, read=clip_inner)
        large = clip_encoder(parts, known.tokens, "_2", clip_inner, projects=True)
        return Loaded(
            UNetXL(parts.diffusers(UNet2DConditionModel, "unet"), known.scale),
            VaeCodec.of(parts.diffusers(AutoencoderKL, "vae"), known),
            Texts([small, large], joined(zeroed=zeroed)),
        )


FAMILY = StableDiffusionXL()
