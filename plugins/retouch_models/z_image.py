"""Z-Image: one stream, picture first; text in multiples of 32 tokens; told the time from noise.  Tongyi Lab 2025."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retouch.api.families import (
    BrokenModel,
    Described,
    Loaded,
    Loading,
    Read,
    flow_schedule,
    joint_sites,
    known_flow,
    qwen_chat,
    same_channels,
    same_width,
    token_memory,
    unet_levels,
    vae_memory,
)
from retouch_models.published import PUBLISHED

if TYPE_CHECKING:
    from retouch.api import Schedule

SCHEDULER = "scheduler/scheduler_config.json"
TOKENS = 512


class ZImage:
    """The turbo, whose defaults these are, and the model behind it."""

    name = "Z-Image"
    published = PUBLISHED["ZImagePipeline"]
    kinds = ("z-image",)

    def describe(self, read: Read) -> Described:
        """Read the configs, and insist that they belong together."""
        net, vae, scheduler = read("transformer/config.json"), read("vae/config.json"), read(SCHEDULER)
        # A picture is one frame, and nothing but a text is read beside it
        if 1 not in net["all_f_patch_size"]:
            raise BrokenModel(f"the network cuts videos into patches of {net['all_f_patch_size']} frames")
        same_channels(net["in_channels"], net["in_channels"], vae["latent_channels"])
        same_width(net["cap_feat_dim"], read("text_encoder/config.json")["hidden_size"])
        scale, side = 2 ** (unet_levels(vae) - 1), net["all_patch_size"][0]
        alone = [f"noise_refiner.{i}" for i in range(net["n_refiner_layers"])]
        together = [f"layers.{i}" for i in range(net["n_layers"])]
        return Described(
            channels=net["in_channels"],
            scale=scale,
            multiple=scale * side,
            trained_size=1024,
            tokens=TOKENS,
            prediction="flow",
            parts=("transformer", "vae", "text_encoder"),
            tokenizers=("tokenizer",),
            reads={"tokenizer": qwen_chat(most=TOKENS)},
            sites=joint_sites(
                [*alone, *together], side, attention="attention", apart=[f"{block}.attention" for block in alone]
            ),
            sized=known_flow(scheduler),
            working=token_memory(
                net["dim"], picture=17, text=18, side=side, pixel=vae_memory(vae["block_out_channels"])
            ),
            defaults={"guidance": 1.0, "steps": 9},
            noted="a guidance of g in its own pipeline is guidance=1+g here",
        )

    def schedule(self, read: Read, steps: int, size: tuple[int, int]) -> Schedule:
        """The grid of its pipeline."""
        return flow_schedule(read(SCHEDULER), steps, size[0] * size[1] // 4)

    def load(self, known: Described, parts: Loading) -> Loaded:
        """Load the transformer, the VAE and Qwen3."""
        from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
        from diffusers.models.transformers.transformer_z_image import ZImageTransformer2DModel

        from retouch.api.kit import Texts, VaeCodec, layers, qwen3_encoder
        from retouch_models.networks.z_image import ZImageNet, counted

        return Loaded(
            ZImageNet(parts.diffusers(ZImageTransformer2DModel, "transformer"), known.multiple // known.scale),
            VaeCodec.of(parts.diffusers(AutoencoderKL, "vae"), known),
            Texts([qwen3_encoder(parts, layers(-2), known.reads["tokenizer"])], counted),
        )


FAMILY = ZImage()
