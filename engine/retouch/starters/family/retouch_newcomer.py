"""A family of models: a UNet that reads one text by cross-attention, CLIP, and a VAE."""

from retouch import hookimpl
from retouch.api.families import (
    Described,
    Loaded,
    PromptReading,
    noise_levels,
    same_channels,
    same_width,
    unet_levels,
    unet_memory,
    unet_sites,
    vae_memory,
)


class Newcomer:
    """Models whose `model_index.json` says "NewcomerPipeline".  Nothing at the top of this file loads torch."""

    name = "Newcomer"

    def describe(self, read):
        """Read the configs, and insist that they belong together; this runs while recipes are checked."""
        unet, vae, text = (read(f"{part}/config.json") for part in ("unet", "vae", "text_encoder"))
        same_channels(unet["in_channels"], unet["out_channels"], vae["latent_channels"])
        same_width(unet["cross_attention_dim"], text["hidden_size"])
        scale = 2 ** (unet_levels(vae) - 1)
        return Described(
            channels=unet["in_channels"],
            scale=scale,
            multiple=scale * 2 ** (unet_levels(unet) - 1),
            trained_size=unet["sample_size"] * scale,
            tokens=text["max_position_embeddings"],
            prediction="epsilon",
            parts=("unet", "vae", "text_encoder"),
            tokenizers=("tokenizer",),
            reads={"tokenizer": PromptReading(text["max_position_embeddings"])},
            sites=unet_sites(unet),
            grid=noise_levels(read("scheduler/scheduler_config.json")).grid,
            working=unet_memory(unet, vae_memory(vae["block_out_channels"])),
        )

    def schedule(self, read, steps, size):
        """The grid of diffusers' DDIMScheduler over the trained noise levels; size: of the latents, [h, w]."""
        from retouch.api.kit import ddim_schedule

        return ddim_schedule(read("scheduler/scheduler_config.json"), steps)

    def load(self, known, parts):
        """Load the network, the codec and the text encoder, on the device and in the precision of the run."""
        from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
        from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

        from retouch.api.kit import Texts, UNet, VaeCodec, alone, clip_encoder

        texts = Texts([clip_encoder(parts, known.tokens)], alone)
        vae = VaeCodec.of(parts.diffusers(AutoencoderKL, "vae"), known)
        return Loaded(UNet(parts.diffusers(UNet2DConditionModel, "unet")), vae, texts)


FAMILY = Newcomer()


@hookimpl
def retouch_families():
    """What this distribution adds: the class of a pipeline, and what reads its models."""
    return {"NewcomerPipeline": "retouch_newcomer:FAMILY"}
