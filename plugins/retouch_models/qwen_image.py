"""Qwen-Image: joint attention, text first and masked; Qwen2.5-VL reads a template of which the text alone is kept.

Wu et al. 2025, arXiv:2508.02324.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    vae_memory,
    wants_no_more,
)
from retouch_models.published import PUBLISHED

if TYPE_CHECKING:
    from retouch.api import Schedule

SCHEDULER = "scheduler/scheduler_config.json"
SIDE = 2  # latent cells along one side of a token
TOKENS = 1024
BEFORE = (
    "<|im_start|>system\nDescribe the image by detailing the color, shape, size, texture, quantity, text, "
    "spatial relationships of the objects and background:<|im_end|>\n<|im_start|>user\n"
)
AFTER = "<|im_end|>\n<|im_start|>assistant\n"
CUT = 34  # tokens of BEFORE, which the network is not given
_UNREAD = ("pooled_projection_dim",)  # its published config has it, and the class takes no such option
_MORE = ("guidance_embeds", "use_additional_t_cond", "use_layer3d_rope", "zero_cond_t")


class QwenImage:
    """The text-to-image model; those that are given pictures are others."""

    name = "Qwen-Image"
    published = PUBLISHED["QwenImagePipeline"]
    kinds = ("qwen-image",)

    def describe(self, read: Read) -> Described:
        """Read the configs, and insist that they belong together."""
        net, vae, scheduler = read("transformer/config.json"), read("vae/config.json"), read(SCHEDULER)
        # A token is two by two cells; the VAE knows the mean and spread of each channel of its latents
        text = read("text_encoder/config.json")
        same_channels(net["in_channels"] // SIDE**2, net["out_channels"], vae["z_dim"])
        wants_no_more(net, _MORE)
        same_width(net["joint_attention_dim"], text.get("text_config", text)["hidden_size"])
        for name in ("latents_mean", "latents_std"):
            if len(vae[name]) != vae["z_dim"]:
                raise BrokenModel(f"the VAE has latents of {vae['z_dim']} channels, and {len(vae[name])} of {name}")
        scale, width = 2 ** len(vae["temperal_downsample"]), net["num_attention_heads"] * net["attention_head_dim"]
        channels = [vae["base_dim"] * times for times in vae["dim_mult"]]
        return Described(
            channels=vae["z_dim"],
            scale=scale,
            multiple=scale * SIDE,
            trained_size=1328,
            tokens=TOKENS,
            prediction="flow",
            parts=("transformer", "vae", "text_encoder"),
            tokenizers=("tokenizer",),
            reads={"tokenizer": PromptReading(most=TOKENS, before=BEFORE, after=AFTER, cut=CUT)},
            sites=joint_sites([f"transformer_blocks.{i}" for i in range(net["num_layers"])], SIDE),
            sized=known_flow(scheduler),
            # Convolutions in time keep the frames before, of which a picture has none, and pad them.
            working=token_memory(width, picture=15, text=10, side=SIDE, pixel=vae_memory(channels, states=9)),
            defaults={"guidance": 4.0, "steps": 50},
            noted="its own pipeline scales a guided prediction back to the norm that it had without guidance",
        )

    def schedule(self, read: Read, steps: int, size: tuple[int, int]) -> Schedule:
        """The grid of its pipeline, which depends on the number of tokens."""
        return flow_schedule(read(SCHEDULER), steps, size[0] * size[1] // SIDE**2)

    def load(self, known: Described, parts: Loading) -> Loaded:
        """Load the transformer, the VAE and Qwen2.5-VL."""
        from diffusers.models.autoencoders.autoencoder_kl_qwenimage import AutoencoderKLQwenImage
        from diffusers.models.transformers.transformer_qwenimage import QwenImageTransformer2DModel
        from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2Tokenizer

        from retouch.api.kit import Encoder, PromptTokenizer, Texts, layers
        from retouch_models.networks.qwen_image import FrameCodec, QwenImageNet, masked

        words = parts.tokenizer("tokenizer", Qwen2Tokenizer)
        qwen = Encoder(
            parts.transformers(Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLConfig, "text_encoder"),
            PromptTokenizer.of(words, known.reads["tokenizer"]),
            layers(-1),
        )
        return Loaded(
            QwenImageNet(parts.diffusers(QwenImageTransformer2DModel, "transformer", _UNREAD)),
            FrameCodec.of(parts.diffusers(AutoencoderKLQwenImage, "vae"), known),
            Texts([qwen], masked),
        )


FAMILY = QwenImage()
