"""FLUX.2 [klein]: as FLUX.1, with Qwen3's inner layers for text, and latents that its VAE normalises by itself.

Black Forest Labs 2025.  [dev] has another text encoder and is no model of this family.
"""

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
from retouch_models.flux import DISTILLED, SCHEDULER, blocks, width
from retouch_models.published import PUBLISHED

if TYPE_CHECKING:
    from retouch.api import Schedule

TOKENS = 512
FOLD = 2  # cells of the VAE along one side of a latent cell


class Flux2Klein:
    """4B and 9B, distilled and base."""

    name = "FLUX.2 klein"
    published = PUBLISHED["Flux2KleinPipeline"]
    kinds = ("flux2",)

    def describe(self, read: Read) -> Described:
        """Read the configs, and insist that they belong together."""
        net, vae, scheduler = read("transformer/config.json"), read("vae/config.json"), read(SCHEDULER)
        # Three layers of the language model lie side by side; [klein] is told no guidance
        if net.get("guidance_embeds"):
            raise BrokenModel("the network is told a guidance, and [klein] is not")
        takes, gives = net["in_channels"], net.get("out_channels") or net["in_channels"]
        same_channels(takes // FOLD**2, gives // FOLD**2, vae["latent_channels"])
        same_width(net["joint_attention_dim"], 3 * read("text_encoder/config.json")["hidden_size"])
        scale = FOLD * 2 ** (unet_levels(vae) - 1)
        distilled = read("model_index.json").get("is_distilled", False)
        return Described(
            channels=net["in_channels"],
            scale=scale,
            multiple=scale,
            trained_size=1024,
            tokens=TOKENS,
            prediction="flow",
            parts=("transformer", "vae", "text_encoder"),
            tokenizers=("tokenizer",),
            reads={"tokenizer": qwen_chat(length=TOKENS, thinks=False)},
            sites=joint_sites(blocks(net), 1),
            sized=known_flow(scheduler),
            working=token_memory(width(net), picture=22, text=25, side=1, pixel=vae_memory(vae["block_out_channels"])),
            defaults={"guidance": 1.0, "steps": 4} if distilled else {"guidance": 4.0, "steps": 50},
            noted=DISTILLED if distilled else "",
        )

    def schedule(self, read: Read, steps: int, size: tuple[int, int]) -> Schedule:
        """The grid of its pipeline, which depends on the number of tokens and of steps."""
        tokens = size[0] * size[1]
        return flow_schedule(read(SCHEDULER), steps, tokens, mu=shift(tokens, steps))

    def load(self, known: Described, parts: Loading) -> Loaded:
        """Load the transformer, the VAE and Qwen3."""
        from diffusers.models.autoencoders.autoencoder_kl_flux2 import AutoencoderKLFlux2
        from diffusers.models.transformers.transformer_flux2 import Flux2Transformer2DModel

        from retouch.api.kit import Texts, alone, layers, qwen3_encoder
        from retouch_models.networks.flux2 import Flux2Net, FoldedCodec

        count = parts.config("text_encoder/config.json")["num_hidden_layers"]
        # The 9th, 18th and 27th of 36.
        inner = count // 4, count // 2, count * 3 // 4
        return Loaded(
            Flux2Net(parts.diffusers(Flux2Transformer2DModel, "transformer")),
            FoldedCodec.of(parts.diffusers(AutoencoderKLFlux2, "vae"), known),
            Texts([qwen3_encoder(parts, layers(*inner), known.reads["tokenizer"])], alone),
        )


def shift(tokens: int, steps: int) -> float:
    """Return Black Forest Labs' fit of the schedule's shift, between those for 10 and for 200 steps."""
    many, few = 0.00016927 * tokens + 0.45666666, 8.73809524e-05 * tokens + 1.89833333
    return many if tokens > 4300 else few + (many - few) * (steps - 10) / 190


FAMILY = Flux2Klein()
