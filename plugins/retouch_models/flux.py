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
    Read,
    flow_schedule,
    joint_sites,
    known_flow,
    same_channels,
    same_width,
    unet_levels,
)
from retouch_models.published import PUBLISHED

if TYPE_CHECKING:
    from retouch.api import Schedule

SCHEDULER = "scheduler/scheduler_config.json"
SIDE = 2  # latent cells along one side of a token
CLIP_TOKENS, DEV_TOKENS, SCHNELL_TOKENS = 77, 512, 256


class Flux:
    """[dev], [schnell], and what is trained on from them."""

    name = "FLUX.1"
    published = PUBLISHED["FluxPipeline"]

    def describe(self, read: Read) -> Described:
        """Read the configs, and insist that they belong together."""
        net, vae, scheduler = read("transformer/config.json"), read("vae/config.json"), read(SCHEDULER)
        known_flow(scheduler)
        _check(net, vae, read("text_encoder/config.json"), read("text_encoder_2/config.json"))
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
            reads={"tokenizer": CLIP_TOKENS, "tokenizer_2": _tokens(net, read)},
            sites=joint_sites(_blocks(net), SIDE),
            sized=scheduler.get("use_dynamic_shifting", False),
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
        from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer, T5Config, T5EncoderModel

        from retouch.api.kit import Encoder, PromptTokenizer, Texts, VaeCodec, clip_last_and_pooled, t5
        from retouch_models.networks.flux import FluxNet, joined

        clip = Encoder(
            parts.transformers(CLIPTextModel, CLIPTextConfig, "text_encoder"),
            PromptTokenizer(parts.tokenizer("tokenizer", CLIPTokenizer), CLIP_TOKENS),
            clip_last_and_pooled,
        )
        long = Encoder(
            parts.transformers(T5EncoderModel, T5Config, "text_encoder_2"),
            PromptTokenizer(parts.tokenizer("tokenizer_2"), known.reads["tokenizer_2"]),
            t5,
        )
        return Loaded(
            FluxNet(parts.diffusers(FluxTransformer2DModel, "transformer")),
            VaeCodec.of(parts.diffusers(AutoencoderKL, "vae"), known),
            Texts([clip, long], joined),
        )


def _tokens(net: Mapping[str, Any], read: Read) -> int:
    most = DEV_TOKENS if net["guidance_embeds"] else SCHNELL_TOKENS
    return min(most, read("tokenizer_2/tokenizer_config.json").get("model_max_length", most))


def _blocks(net: Mapping[str, Any]) -> list[str]:
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
        "noted": "it is distilled to four steps: inversions that walk its path up miss the picture by much",
    }


def _check(net: Mapping[str, Any], vae: Mapping[str, Any], clip: Mapping[str, Any], long: Mapping[str, Any]) -> None:
    """A token is two by two cells; what is given more, as in Fill or Control, is no text."""
    takes, gives = net["in_channels"], net.get("out_channels") or net["in_channels"]
    if net.get("patch_size", 1) != 1:
        raise BrokenModel(f"the network cuts latents into patches of {net['patch_size']} tokens by itself")
    same_channels(takes // SIDE**2, gives // SIDE**2, vae["latent_channels"])
    same_width(net["joint_attention_dim"], long["d_model"])
    same_width(net["pooled_projection_dim"], clip["hidden_size"], "a pooled text")


FAMILY = Flux()
