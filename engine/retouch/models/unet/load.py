"""Load a Stable Diffusion 1 or 2 from a folder in the diffusers layout.

The classes are fixed here and the weights are safetensors: no config can choose code to run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from retouch.models import weights
from retouch.models.errors import BrokenModel
from retouch.models.info import ModelInfo
from retouch.models.layout import CONFIGS, read_json, weights_file
from retouch.models.unet.codec import VaeCodec
from retouch.models.unet.levels import NoiseLevels, noise_levels
from retouch.models.unet.text import ClipTextEncoder

# What a text encoder's config may say; the rest of such files is bookkeeping, or asks for other code.
_TEXT_OPTIONS = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "max_position_embeddings",
    "hidden_act",
    "layer_norm_eps",
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
)
# Attention of VAEs saved before diffusers 0.16.
_OLD_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """The parts of a model, ready to evaluate, and the noise levels it was trained on."""

    info: ModelInfo
    unet: UNet2DConditionModel
    vae: AutoencoderKL
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    levels: NoiseLevels

    @property
    def codec(self) -> VaeCodec:
        """Pictures to latents and back."""
        factor, shift = self.vae.config["scaling_factor"], self.vae.config["shift_factor"] or 0.0
        return VaeCodec(self.vae, self.info.scale, self.info.multiple, self.info.trained_size, factor, shift)

    @property
    def text(self) -> ClipTextEncoder:
        """Prompts to embeddings."""
        return ClipTextEncoder(self.text_encoder, self.tokenizer, self.info.tokens)


def load(info: ModelInfo, *, device: str = "cpu", dtype: torch.dtype = torch.float32) -> LoadedModel:
    """Load every part, in evaluation mode and without gradients."""
    tokenizer = CLIPTokenizer.from_pretrained(info.folder / "tokenizer", local_files_only=True)
    text_encoder = _text_encoder(info, device, dtype)
    if len(tokenizer) > text_encoder.config.vocab_size:
        raise BrokenModel(
            f"'{info.folder}': the tokenizer has {len(tokenizer)} words, "
            f"the text encoder {text_encoder.config.vocab_size}"
        )
    return LoadedModel(
        info=info,
        unet=_diffusers(UNet2DConditionModel, info, "unet", device, dtype),
        vae=_diffusers(AutoencoderKL, info, "vae", device, dtype),
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        levels=noise_levels(read_json(info.folder, CONFIGS["scheduler"])),
    )


def _diffusers(kind: Any, info: ModelInfo, part: str, device: str, dtype: torch.dtype) -> Any:
    config = read_json(info.folder, CONFIGS[part])
    if config.get("_class_name") != kind.__name__:
        raise BrokenModel(f"{CONFIGS[part]} of '{info.folder}' is for '{config.get('_class_name')}'")
    options = {key: value for key, value in config.items() if not key.startswith("_")}

    def build() -> nn.Module:
        try:
            return kind(**options)
        except (TypeError, ValueError, NotImplementedError) as why:
            raise BrokenModel(f"{CONFIGS[part]} of '{info.folder}' does not fit {kind.__name__}: {why}") from None

    return weights.load(build, weights_file(info.folder, part), _today, device, dtype)


def _today(name: str) -> str:
    """A tensor's name in the diffusers of today."""
    parent, _, leaf = name.rpartition(".")
    block, _, layer = parent.rpartition(".")
    return f"{block}.{_OLD_ATTENTION[layer]}.{leaf}" if layer in _OLD_ATTENTION else name


def _text_encoder(info: ModelInfo, device: str, dtype: torch.dtype) -> CLIPTextModel:
    config = read_json(info.folder, CONFIGS["text_encoder"])
    if config.get("model_type") != "clip_text_model":
        raise BrokenModel(f"text_encoder/config.json of '{info.folder}' is for '{config.get('model_type')}'")
    model = weights.load(
        lambda: CLIPTextModel(_text_config(config)),
        weights_file(info.folder, "text_encoder"),
        _inner_name,
        device,
        dtype,
    )
    # A buffer that is not stored, so that it is still without memory.
    model.embeddings.register_buffer("position_ids", torch.arange(info.tokens, device=device)[None], persistent=False)
    return model


def _text_config(config: Mapping[str, Any]) -> CLIPTextConfig:
    return CLIPTextConfig(**{key: config[key] for key in _TEXT_OPTIONS if key in config})


def _inner_name(name: str) -> str | None:
    """The name without the wrapper that older transformers had; position_ids is a count, not a weight."""
    name = name.removeprefix("text_model.")
    return None if name == "embeddings.position_ids" else name
