"""A random Stable Diffusion of a few thousand weights, as a folder in the diffusers layout."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

START, END = "<|startoftext|>", "<|endoftext|>"


def tokenizer(length: int) -> CLIPTokenizer:
    """One token for each byte, at the end of a word or inside it."""
    letters = [*(chr(i) for i in range(33, 127)), *(chr(i) for i in range(161, 324))]
    words = [START, END, *letters, *(letter + "</w>" for letter in letters)]
    return CLIPTokenizer(vocab={word: i for i, word in enumerate(words)}, merges=[], model_max_length=length)


def unet(channels: int = 4, **options: Any) -> UNet2DConditionModel:
    """Two levels; override what a test is about."""
    shape = {
        "sample_size": 8,
        "in_channels": channels,
        "out_channels": channels,
        "layers_per_block": 1,
        "block_out_channels": (32, 64),
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
        "cross_attention_dim": 32,
        "attention_head_dim": 4,
        "norm_num_groups": 8,
    }
    return UNet2DConditionModel(**(shape | options))


def pipeline(channels: int = 4, length: int = 24, prediction: str = "v_prediction") -> StableDiffusionPipeline:
    """All parts, random and reproducible."""
    words = tokenizer(length)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return StableDiffusionPipeline(
            vae=AutoencoderKL(
                block_out_channels=(16, 16, 16),
                down_block_types=("DownEncoderBlock2D",) * 3,
                up_block_types=("UpDecoderBlock2D",) * 3,
                latent_channels=channels,
                norm_num_groups=8,
                sample_size=32,
                scaling_factor=0.5,
                shift_factor=0.25,
            ),
            text_encoder=CLIPTextModel(
                CLIPTextConfig(
                    vocab_size=len(words),
                    hidden_size=32,
                    intermediate_size=64,
                    num_hidden_layers=2,
                    num_attention_heads=2,
                    max_position_embeddings=length,
                    bos_token_id=0,
                    eos_token_id=1,
                    pad_token_id=1,
                )
            ),
            tokenizer=words,
            unet=unet(channels),
            scheduler=DDIMScheduler(
                beta_schedule="scaled_linear", prediction_type=prediction, steps_offset=1, clip_sample=False
            ),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )


def three_levels(seed: int = 0) -> StableDiffusionPipeline:
    """With attention at two levels and none at the deepest, like the embedded model, and room for long captions."""
    parts = pipeline(length=40)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        deeper = unet(
            block_out_channels=(32, 32, 32),
            down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        )
    parts.register_modules(unet=deeper)
    return parts


@contextmanager
def config(folder: Path, name: str) -> Iterator[dict[str, Any]]:
    """A config to change in place."""
    content = json.loads((folder / name).read_text())
    yield content
    (folder / name).write_text(json.dumps(content))


@contextmanager
def tensors(path: Path) -> Iterator[dict[str, Tensor]]:
    """Weights to change in place."""
    content = load_file(path)
    yield content
    save_file(content, path)
