"""Networks of the exact shape of published ones, with random weights made where they run; nothing is downloaded.

Another family is one more entry of SHAPES.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from retouch.api import Site
from retouch.api.families import unet_levels, unet_sites
from retouch.api.kit import VaeCodec as Codec
from retouch_bench.speed.counting import CountedWork, work_of

QUIET = 0.1  # factor on a denoiser's last layer: random predictions would else grow over 50 guided steps


@dataclass(frozen=True, slots=True)
class Shape:
    """Configs of the parts, as diffusers and transformers read them, and the picture's side in pixels."""

    name: str
    unet: Mapping[str, Any]
    vae: Mapping[str, Any]
    text: Mapping[str, Any]
    side: int

    @property
    def latent(self) -> tuple[int, int, int]:
        """[C, h, w] of one picture."""
        cells = self.side // self.scale
        return self.unet["in_channels"], cells, cells

    @property
    def scale(self) -> int:
        """Pixels per latent cell."""
        return 2 ** (unet_levels(self.vae) - 1)

    @property
    def prompt(self) -> tuple[int, int]:
        """[tokens, dim] of an encoded prompt."""
        return self.text["max_position_embeddings"], self.text["hidden_size"]

    @property
    def sites(self) -> tuple[Site, ...]:
        """Where controls may act on the denoiser."""
        return unet_sites(self.unet)

    def denoiser(self, device: torch.device | str, dtype: torch.dtype) -> Any:
        """A UNet with random weights, its output scaled down."""
        from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

        unet = _made(UNet2DConditionModel, self.unet, device, dtype)
        with torch.no_grad():
            unet.conv_out.weight.mul_(QUIET)
            unet.conv_out.bias.mul_(QUIET)
        return unet

    def autoencoder(self, device: torch.device | str, dtype: torch.dtype) -> Any:
        """A VAE with random weights."""
        from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

        return _made(AutoencoderKL, self.vae, device, dtype)

    def text_encoder(self, device: torch.device | str, dtype: torch.dtype) -> Any:
        """A CLIP text model with random weights."""
        from transformers import CLIPTextConfig, CLIPTextModel

        with torch.device(device):
            model = CLIPTextModel(CLIPTextConfig(**self.text))
        return torch.nn.Module.to(model, dtype).eval()

    def codec(self, device: torch.device | str, dtype: torch.dtype) -> Codec:
        """The VAE as the engine calls it."""
        multiple = self.scale * 2 ** (unet_levels(self.unet) - 1)
        side = self.unet["sample_size"] * self.scale
        return Codec(self.autoencoder(device, dtype), self.scale, multiple, side, self.vae["scaling_factor"])

    def work(self, dtype: torch.dtype) -> Mapping[str, CountedWork]:
        """What a row of the denoiser takes, and a picture of the VAE each way."""
        unet, codec = self.denoiser("meta", dtype), self.codec("meta", dtype)

        def empty(*size: int) -> torch.Tensor:
            return torch.empty(*size, device="meta", dtype=dtype)

        def denoise(rows: int) -> object:
            return unet(empty(rows, *self.latent), empty(rows), encoder_hidden_states=empty(rows, *self.prompt))

        return {
            "denoiser": work_of(denoise),
            "encode": work_of(lambda rows: codec.encode(empty(rows, 3, self.side, self.side))),
            "decode": work_of(lambda rows: codec.decode(empty(rows, *self.latent))),
        }


def _made(kind: Any, config: Mapping[str, Any], device: torch.device | str, dtype: torch.dtype) -> Any:
    with torch.device(device):
        module = kind(**config)
    return torch.nn.Module.to(module, dtype).eval().requires_grad_(False)


SHAPES = {
    "sd15": Shape(
        "sd15",
        unet={
            "sample_size": 64,
            "in_channels": 4,
            "out_channels": 4,
            "layers_per_block": 2,
            "block_out_channels": (320, 640, 1280, 1280),
            "down_block_types": (*("CrossAttnDownBlock2D",) * 3, "DownBlock2D"),
            "up_block_types": ("UpBlock2D", *("CrossAttnUpBlock2D",) * 3),
            "cross_attention_dim": 768,
            "attention_head_dim": 8,
        },
        vae={
            "sample_size": 512,
            "latent_channels": 4,
            "layers_per_block": 2,
            "block_out_channels": (128, 256, 512, 512),
            "down_block_types": ("DownEncoderBlock2D",) * 4,
            "up_block_types": ("UpDecoderBlock2D",) * 4,
            "scaling_factor": 0.18215,
        },
        text={
            "vocab_size": 49408,
            "hidden_size": 768,
            "intermediate_size": 3072,
            "num_hidden_layers": 12,
            "num_attention_heads": 12,
            "max_position_embeddings": 77,
        },
        side=512,
    ),
    "toy": Shape(
        "toy",
        unet={
            "sample_size": 8,
            "in_channels": 4,
            "out_channels": 4,
            "layers_per_block": 1,
            "block_out_channels": (32, 64),
            "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
            "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
            "cross_attention_dim": 32,
            "attention_head_dim": 4,
            "norm_num_groups": 8,
        },
        vae={
            "sample_size": 32,
            "latent_channels": 4,
            "layers_per_block": 1,
            "block_out_channels": (16, 16, 16),
            "down_block_types": ("DownEncoderBlock2D",) * 3,
            "up_block_types": ("UpDecoderBlock2D",) * 3,
            "norm_num_groups": 8,
            "scaling_factor": 0.18215,
        },
        text={
            "vocab_size": 1024,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "max_position_embeddings": 24,
            "bos_token_id": 0,
            "eos_token_id": 1,
            "pad_token_id": 1,
        },
        side=32,
    ),
}
