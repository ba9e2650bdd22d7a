"""Latents of drawings, encoded once for each VAE."""

from hashlib import file_digest
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from retouch_storybook.train import base
from retouch_storybook.train.drawings import Drawings

BATCH, BLOCK = 50, 500


def latents_of(drawings: Drawings, weights: Path, cache: Path, device: str) -> Tensor:
    """Encode drawings with the VAE of a folder of weights: the posterior's mean, at unit variance.  [n, C, h, w]"""
    with (weights / "vae" / "diffusion_pytorch_model.safetensors").open("rb") as file:
        folder = cache / file_digest(file, "sha256").hexdigest()[:12]
    vae = base.vae(weights).to(device).eval()
    blocks = [
        _block(vae, drawings, slice(start, start + BLOCK), folder / f"{start // BLOCK:05d}.safetensors")
        for start in range(0, len(drawings), BLOCK)
    ]
    return torch.cat(blocks).to(device)


@torch.no_grad()
def encode(vae: Any, pictures: Tensor) -> Tensor:
    """Pictures in [0, 1] to latents of unit variance."""
    (posterior,) = vae.encode(pictures * 2 - 1, return_dict=False)
    return posterior.mean * vae.config["scaling_factor"]


@torch.no_grad()
def decode(vae: Any, latents: Tensor) -> Tensor:
    """Latents of unit variance to pictures in [0, 1]."""
    (pixels,) = vae.decode(latents / vae.config["scaling_factor"], return_dict=False)
    return (pixels / 2 + 0.5).clamp(0, 1)


@torch.no_grad()
def round_trip(vae: Any, pictures: Tensor) -> Tensor:
    """Pictures in [0, 1], encoded and decoded again."""
    return torch.cat([decode(vae, encode(vae, part)) for part in pictures.split(BATCH)])


def _block(vae: Any, drawings: Drawings, where: slice, file: Path) -> Tensor:
    if file.exists():
        return load_file(file)["latents"]
    latents = torch.cat([encode(vae, pictures) for pictures in drawings.pictures(where).split(BATCH)]).cpu()
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".unfinished")
    save_file({"latents": latents.contiguous()}, unfinished)
    unfinished.replace(file)
    return latents
