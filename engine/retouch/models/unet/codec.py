"""Pictures to latents and back, in batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from retouch.core.precision import at_least_float32

if TYPE_CHECKING:
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL


@dataclass(frozen=True, slots=True)
class VaeCodec:
    """The VAE, with latents scaled to about unit variance, as the network knows them."""

    vae: AutoencoderKL
    scale: int  # pixels per latent cell
    multiple: int  # sides in pixels must be multiples of this
    side: int  # pixels of a side of the pictures that the model was trained on
    factor: float = 1.0
    shift: float = 0.0

    def encode(self, pictures: Tensor) -> Tensor:
        """The posterior's mean, at least in float32: a walk adds up many small steps.

        [B, 3, H, W] in [0, 1] -> [B, C, h, w]
        """
        (posterior,) = self.vae.encode(pictures.to(self.vae.dtype) * 2 - 1, return_dict=False)
        return (at_least_float32(posterior.mean) - self.shift) * self.factor

    def decode(self, latents: Tensor) -> Tensor:
        """[B, C, h, w] -> [B, 3, H, W], clamped to [0, 1]"""
        cells: Any = latents.to(self.vae.dtype) / self.factor + self.shift
        return (at_least_float32(self.vae.decode(cells, return_dict=False)[0]) / 2 + 0.5).clamp(0, 1)

    def padded(self, height: int, width: int) -> tuple[int, int]:
        """The least size that holds this one and that the network can take."""
        return -(-height // self.multiple) * self.multiple, -(-width // self.multiple) * self.multiple
