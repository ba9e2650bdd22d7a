"""The two halves of the embedded model's VAE, between pictures and the latents that the generator makes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from torch import Tensor, nn

import retouch_storybook

CONFIG = Path(retouch_storybook.__file__).parent / "weights" / "vae" / "config.json"


class _Vae(nn.Module):
    """A VAE whose tensors have the names of its file, so that it can be filled with that."""

    def __init__(self) -> None:
        super().__init__()
        config = {name: value for name, value in json.loads(CONFIG.read_text("utf-8")).items() if name[0] != "_"}
        whole: Any = AutoencoderKL(**config)
        self.scale = float(config["scaling_factor"])
        self.encoder, self.quant_conv = whole.encoder, whole.quant_conv
        self.decoder, self.post_quant_conv = whole.decoder, whole.post_quant_conv


class VaeEncoder(_Vae):
    """Pictures to the mean of their latents."""

    def forward(self, pictures: Tensor) -> Tensor:
        """[n, 3, H, W] in [0, 1] -> [n, 4, H / 4, W / 4], of unit variance"""
        moments = self.quant_conv(self.encoder(pictures * 2 - 1))
        return moments[:, : moments.shape[1] // 2] * self.scale


class VaeDecoder(_Vae):
    """Latents to pictures."""

    def forward(self, latents: Tensor) -> Tensor:
        """[n, 4, h, w] of unit variance -> [n, 3, 4 h, 4 w], about in [0, 1]"""
        return self.decoder(self.post_quant_conv(latents / self.scale)) / 2 + 0.5
