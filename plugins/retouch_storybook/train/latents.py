"""Drawings through the VAE: latents and round trips, made once for each VAE."""

from collections.abc import Callable
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
    vae = base.vae(weights).to(device).eval()
    return _in_blocks(lambda pictures: encode(vae, pictures), drawings, _folder(cache / "latents", weights)).to(device)


def round_trips_of(drawings: Drawings, weights: Path, cache: Path, device: str) -> Tensor:
    """Encode drawings and decode them again, with the VAE of a folder of weights.  [n, 3, size, size], uint8"""
    vae = base.vae(weights).to(device).eval()

    def again(pictures: Tensor) -> Tensor:
        return (round_trip(vae, pictures) * 255).round().byte()

    return _in_blocks(again, drawings, _folder(cache / "round_trips", weights)).to(device)


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


def _folder(cache: Path, weights: Path) -> Path:
    with (weights / "vae" / "diffusion_pytorch_model.safetensors").open("rb") as file:
        return cache / file_digest(file, "sha256").hexdigest()[:12]


def _in_blocks(through: Callable[[Tensor], Tensor], drawings: Drawings, folder: Path) -> Tensor:
    """Send drawings through a model, block by block; blocks already in the folder are read."""
    folder.mkdir(parents=True, exist_ok=True)
    starts = range(0, len(drawings), BLOCK)
    return torch.cat(
        [_block(through, drawings, start, folder / f"{start // BLOCK:05d}.safetensors") for start in starts]
    )


def _block(through: Callable[[Tensor], Tensor], drawings: Drawings, start: int, file: Path) -> Tensor:
    if file.exists():
        return load_file(file)["block"]
    pictures = drawings.pictures(slice(start, start + BLOCK))
    block = torch.cat([through(part) for part in pictures.split(BATCH)]).cpu().contiguous()
    unfinished = file.with_suffix(".unfinished")
    save_file({"block": block}, unfinished)
    unfinished.replace(file)
    return block
