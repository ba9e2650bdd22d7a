"""Pictures to latents and back, in batches; and latents to tokens of patches and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from torch import Tensor

from retouch.core.device.precision import at_least_float32
from retouch.models.family import Described


@dataclass(frozen=True, slots=True)
class VaeCodec:
    """The VAE, with latents scaled to about unit variance, as the network knows them."""

    vae: Any  # an AutoencoderKL, or one like it
    scale: int  # pixels per latent cell
    multiple: int  # sides in pixels must be multiples of this
    side: int  # pixels of a side of the pictures that the model was trained on
    factor: float = 1.0
    shift: float = 0.0

    @classmethod
    def of(cls, vae: Any, known: Described) -> Self:
        """Make it of a VAE, with the factor and shift of its config."""
        return cls(
            vae,
            known.scale,
            known.multiple,
            known.trained_size,
            vae.config.get("scaling_factor", 1.0),
            vae.config.get("shift_factor") or 0.0,
        )

    def scaled(self, cells: Tensor) -> Tensor:
        """The VAE's latents as the network knows them.  [B, C, h, w] both"""
        return (cells - self.shift) * self.factor

    def unscaled(self, latents: Tensor) -> Tensor:
        """The network's latents as the VAE knows them.  [B, C, h, w] both"""
        return latents / self.factor + self.shift

    def encode(self, pictures: Tensor) -> Tensor:
        """The posterior's mean, at least in float32: a walk adds up many small steps.

        [B, 3, H, W] in [0, 1] -> [B, C, h, w]
        """
        (posterior,) = self.vae.encode(pictures.to(self.vae.dtype) * 2 - 1, return_dict=False)
        return self.scaled(at_least_float32(posterior.mean))

    def decode(self, latents: Tensor) -> Tensor:
        """[B, C, h, w] -> [B, 3, H, W], clamped to [0, 1]"""
        return self.decode_freely(latents).clamp(0, 1)

    def decode_freely(self, latents: Tensor) -> Tensor:
        """[B, C, h, w] -> [B, 3, H, W], where colours may leave [0, 1]: for gradients, which end at a clamp."""
        cells: Any = self.unscaled(latents.to(self.vae.dtype))
        return at_least_float32(self.vae.decode(cells, return_dict=False)[0]) / 2 + 0.5

    def padded(self, height: int, width: int) -> tuple[int, int]:
        """The least size that holds this one and that the network can take."""
        return -(-height // self.multiple) * self.multiple, -(-width // self.multiple) * self.multiple


def patches(x: Tensor, side: int) -> Tensor:
    """[B, C, h, w] -> [B, h / side * w / side, C * side * side], channels first in a token"""
    b, c, h, w = x.shape
    cut = x.reshape(b, c, h // side, side, w // side, side).permute(0, 2, 4, 1, 3, 5)
    return cut.reshape(b, (h // side) * (w // side), c * side * side)


def cells(tokens: Tensor, size: tuple[int, int], side: int) -> Tensor:
    """Undo `patches`, for latents of this size.  -> [B, C, h, w]"""
    h, w = size[0] // side, size[1] // side
    cut = tokens.reshape(len(tokens), h, w, -1, side, side).permute(0, 3, 1, 4, 2, 5)
    return cut.reshape(len(tokens), -1, *size)
