"""Where parts begin: folders of weights, read in float32."""

import json
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d import UNet2DModel
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from transformers import CLIPModel, CLIPTextModel, CLIPTokenizer

SHIPPED = Path(__file__).parents[1] / "weights"


def vae(folder: Path) -> Any:
    """The `AutoencoderKL` of a folder of weights."""
    return _diffusers(AutoencoderKL, folder / "vae")


def denoiser(folder: Path) -> Any:
    """The `UNet2DConditionModel` of a folder of weights."""
    return _diffusers(UNet2DConditionModel, folder / "unet")


def pixel_denoiser(folder: Path) -> Any:
    """The pixel-space `UNet2DModel` of a folder of weights."""
    return _diffusers(UNet2DModel, folder / "pixel" / "unet")


def text_encoder(folder: Path) -> Any:
    """The `CLIPTextModel` of a folder of weights."""
    return CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch.float32)


def image_text(folder: Path) -> Any:
    """The `CLIPModel` of a folder of weights."""
    return CLIPModel.from_pretrained(folder / "image_text", dtype=torch.float32)


def tokenizer(folder: Path) -> CLIPTokenizer:
    """The tokenizer of a folder of weights."""
    return CLIPTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)


def schedule(folder: Path) -> Any:
    """The noise levels of a folder of weights."""
    return DDIMScheduler.from_pretrained(folder / "scheduler")


def export(model: Any, folder: Path) -> None:
    """Write a model as float16 safetensors, and leave it in float32."""
    model.half().save_pretrained(folder, safe_serialization=True)
    model.float()
    forget_origin(folder)


def forget_origin(folder: Path) -> None:
    """Take out of a model's config where it was read from: a path of this machine, which is nobody else's business."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    if config.pop("_name_or_path", None) is not None:
        path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def _diffusers(kind: Any, folder: Path) -> Any:
    return kind.from_pretrained(folder, torch_dtype=torch.float32, low_cpu_mem_usage=False)
