"""Stable Diffusion 3 and 3.5: joint attention, picture first; two CLIPs side by side, then T5.  Esser et al. 2024."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from retouch.api.families import (
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
CLIP_TOKENS, T5_TOKENS = 77, 256  # as the pipeline gives them, whatever the prompt


class StableDiffusion3:
    """Versions 3 and 3.5, medium and large."""

    name = "Stable Diffusion 3/3.5"
    kinds = ("sd3",)
    published = PUBLISHED["StableDiffusion3Pipeline"]

    def describe(self, read: Read) -> Described:
        """Read the configs, and insist that they belong together."""
        net, vae, scheduler = read("transformer/config.json"), read("vae/config.json"), read(SCHEDULER)
        _check(net, vae, *(read(f"text_encoder{number}/config.json") for number in ("", "_2", "_3")))
        scale, side = 2 ** (unet_levels(vae) - 1), net["patch_size"]
        width = net["num_attention_heads"] * net["attention_head_dim"]
        blocks = [f"transformer_blocks.{i}" for i in range(net["num_layers"])]
        dual = net.get("dual_attention_layers", ())
        return Described(
            channels=net["in_channels"],
            scale=scale,
            multiple=scale * side,
            trained_size=net["sample_size"] * scale,
            # CLIP's two lie side by side in the channels, T5 behind them: so one of CLIP's counts.
            tokens=CLIP_TOKENS + t5_tokens(read),
            prediction="flow",
            parts=("transformer", "vae", "text_encoder", "text_encoder_2", "text_encoder_3"),
            tokenizers=("tokenizer", "tokenizer_2", "tokenizer_3"),
            reads={
                "tokenizer": PromptReading(CLIP_TOKENS),
                "tokenizer_2": PromptReading(CLIP_TOKENS),
                "tokenizer_3": PromptReading(t5_tokens(read)),
            },
            sites=joint_sites(blocks, side, apart=[f"transformer_blocks.{i}.attn2" for i in dual]),
            sized=known_flow(scheduler),
            working=token_memory(width, picture=14, text=6, side=side, pixel=vae_memory(vae["block_out_channels"])),
            **_version(net),
        )

    def schedule(self, read: Read, steps: int, size: tuple[int, int]) -> Schedule:
        """The grid of its pipeline: down to the least level that was trained."""
        tokens = size[0] * size[1] // read("transformer/config.json")["patch_size"] ** 2
        return flow_schedule(read(SCHEDULER), steps, tokens, last="trained")

    def spellings(self, modules: Iterable[str], read: Read) -> Mapping[str, tuple[str, ...]]:
        """The authors' own names of layers, for files of LoRA."""
        from retouch_models import spellings

        return spellings.sd3(modules)

    def load(self, known: Described, parts: Loading) -> Loaded:
        """Load the transformer, the VAE, both of CLIP's text models and T5's encoder."""
        from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
        from diffusers.models.transformers.transformer_sd3 import SD3Transformer2DModel

        from retouch.api.kit import Texts, VaeCodec, clip_encoder, clip_inner, t5_encoder
        from retouch_models.networks.sd3 import SD3Net, joined

        clips = [clip_encoder(parts, CLIP_TOKENS, number, clip_inner, projects=True) for number in ("", "_2")]
        long = t5_encoder(parts, known.reads["tokenizer_3"].length, "_3")
        return Loaded(
            SD3Net(parts.diffusers(SD3Transformer2DModel, "transformer"), known.multiple // known.scale),
            VaeCodec.of(parts.diffusers(AutoencoderKL, "vae"), known),
            Texts([*clips, long], joined),
        )


def t5_tokens(read: Read) -> int:
    """Return how many tokens of T5 a prompt has."""
    return min(T5_TOKENS, read("tokenizer_3/tokenizer_config.json").get("model_max_length", T5_TOKENS))


def _version(net: Mapping[str, Any]) -> dict[str, Any]:
    """What the pages of the published models recommend, told apart by what the networks have."""
    if net.get("dual_attention_layers"):  # 3.5 medium
        return {"defaults": {"guidance": 4.5, "steps": 40}}
    if net.get("qk_norm"):  # 3.5 large, and its turbo
        said = "a turbo has the configs of the model that it was distilled from: give it steps=4 guidance=1"
        return {"defaults": {"guidance": 3.5, "steps": 28}, "noted": said}
    return {"defaults": {"guidance": 7.0, "steps": 28}}


def _check(net: Mapping[str, Any], vae: Mapping[str, Any], *texts: Mapping[str, Any]) -> None:
    """Two CLIPs side by side fit into the width of T5, and what they pool lies end to end."""
    small, large, long = texts
    same_channels(net["in_channels"], net["out_channels"], vae["latent_channels"])
    same_width(net["joint_attention_dim"], long["d_model"])
    same_width(net["pooled_projection_dim"], small["projection_dim"] + large["projection_dim"], "a pooled text")


FAMILY = StableDiffusion3()
