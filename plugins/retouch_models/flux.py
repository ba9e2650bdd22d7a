"""FLUX.1: joint attention, text first, then single-stream blocks; T5 for tokens, CLIP for one pooled vector.

Black Forest Labs 2024.  [dev] is told its guidance as a number, [schnell] is distilled to four steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from retouch.api.families import (
    BrokenModel,
    Described,
    Loaded,
    Loading,
    PromptReading,
    Read,
    flow_schedule,
    joint_sites,
    known_flow,
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
SIDE = 2  # latent cells along one side of a token
DISTILLED = "it is distilled to four steps: inversions that walk its path up miss the picture by much"
CLIP_TOKENS, DEV_TOKENS, SCHNELL_TOKENS = 77, 512, 256


class Flux:
    """[dev], [schnell], and what is trained on from them."""

    name = "FLUX.1"
    published = PUBLISHED["FluxPipeline"]
    kinds = ("flux",)

    def describe(self, read: Read) -> Described:
        """Read the configs, and insist that they belong together."""
        net, vae, scheduler = read("transformer/config.json"), read("vae/config.json"), read(SCHEDULER)
        # A token is two by two cells; what is given more, as in Fill or Control, is no text
        takes, gives = net["in_channels"], net.get("out_channels") or net["in_channels"]
        if net.get("patch_size", 1) != 1:
            raise BrokenModel(f"the network cuts latents into patches of {net['patch_size']} tokens by itself")
        same_channels(takes // SIDE**2, gives // SIDE**2, vae["latent_channels"])
        same_width(net["joint_attention_dim"], read("text_encoder_2/config.json")["d_model"])
        same_width(net["pooled_projection_dim"], read("text_encoder/config.json")["hidden_size"], "a pooled text")
        scale = 2 ** (unet_levels(vae) - 1)
        return Described(
            channels=vae["latent_channels"],
            scale=scale,
            multiple=scale * SIDE,
            trained_size=1024,
            tokens=_tokens(net, read),
            prediction="flow",
            parts=("transformer", "vae", "text_encoder", "text_encoder_2"),
            tokenizers=("tokenizer", "tokenizer_2"),
            reads={"tokenizer": PromptReading(CLIP_TOKENS), "tokenizer_2": PromptReading(_tokens(net, read))},
            sites=joint_sites(blocks(net), SIDE),
            sized=known_flow(scheduler),
            working=token_memory(
                width(net), picture=16, text=17, side=SIDE, pixel=vae_memory(vae["block_out_channels"])
            ),
            **_version(net),
        )

    def schedule(self, read: Read, steps: int, size: tuple[int, int]) -> Schedule:
        """The grid of its pipeline; of [dev], it depends on the number of tokens."""
        return flow_schedule(read(SCHEDULER), steps, size[0] * size[1] // SIDE**2)

    def spellings(self, modules: Iterable[str], read: Read) -> Mapping[str, tuple[str, ...]]:
        """The authors' own names of layers, for files of LoRA."""
        from retouch_models import spellings

        return spellings.flux(modules)

    def load(self, known: Described, parts: Loading) -> Loaded:
        """Load the transformer, the VAE, CLIP's text model and T5's encoder."""
        from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
        from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel

        from retouch.api.kit import Texts, VaeCodec, clip_encoder, clip_last_and_pooled, t5_encoder
        from retouch_models.networks.flux import FluxNet, joined

        clip = clip_encoder(parts, CLIP_TOKENS, read=clip_last_and_pooled)
        long = t5_encoder(parts, known.reads["tokenizer_2"].length, "_2")
        return Loaded(
            FluxNet(parts.diffusers(FluxTransformer2DModel, "transformer")),
            VaeCodec.of(parts.diffusers(AutoencoderKL, "vae"), known),
            Texts([clip, long], joined),
        )


def _tokens(net: Mapping[str, Any], read: Read) -> int:
    most = DEV_TOKENS if net["guidance_embeds"] else SCHNELL_TOKENS
    return min(most, read("tokenizer_2/tokenizer_config.json").get("model_max_length", most))


def width(net: Mapping[str, Any]) -> int:
    """Return numbers of a token."""
    return net["num_attention_heads"] * net["attention_head_dim"]


def blocks(net: Mapping[str, Any]) -> list[str]:
    """Name the blocks of two streams, then those of one."""
    double = [f"transformer_blocks.{i}" for i in range(net["num_layers"])]
    return double + [f"single_transformer_blocks.{i}" for i in range(net["num_single_layers"])]


def _version(net: Mapping[str, Any]) -> dict[str, Any]:
    """What suits [dev], which is told a guidance and needs no second row for it, and [schnell], which knows none."""
    if net["guidance_embeds"]:
        return {
            "told": {"guidance": 3.5},
            "defaults": {"guidance": 1.0, "steps": 28},
            "stages": {"guide distilled": {"guidance": 3.5}},
        }
    return {
        "defaults": {"guidance": 1.0, "steps": 4},
        "noted": DISTILLED,
    }


FAMILY = Flux()
