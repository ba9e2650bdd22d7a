"""Text to image, for the figures and the sample sheets: DDIM with guidance.  Song et al. 2021, arXiv:2010.02502"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from PIL import Image
from torch import Tensor
from transformers import CLIPTokenizer

from retouch_storybook.train import base
from retouch_storybook.train.captions import token_ids
from retouch_storybook.train.latents import decode

STEPS, GUIDANCE = 25, 3.0
BATCH = {"cuda": 100}  # pictures at once; elsewhere 25


@dataclass(frozen=True, slots=True)
class Painter:
    """A whole latent model, in evaluation mode."""

    unet: Any
    text: Any
    tokenizer: CLIPTokenizer
    vae: Any
    schedule: DDIMScheduler

    @classmethod
    def of(cls, folder: Path, device: str) -> "Painter":
        """Read it from a folder of weights."""
        parts = base.denoiser(folder), base.text_encoder(folder), base.vae(folder)
        unet, text, vae = (part.to(device).eval() for part in parts)
        return cls(unet, text, base.tokenizer(folder), vae, base.schedule(folder))

    @torch.no_grad()
    def paint(self, captions: Sequence[str], seed: int = 0) -> Tensor:
        """One picture per caption.  [n, 3, H, W] in [0, 1]"""
        config, draws = self.unet.config, torch.Generator().manual_seed(seed)
        shape = (len(captions), config.in_channels, config.sample_size, config.sample_size)
        noise = torch.randn(shape, generator=draws).to(self.unet.device)
        with torch.autocast(noise.device.type, torch.float16, enabled=noise.is_cuda):
            size = BATCH.get(noise.device.type, 25)
            places = range(0, len(captions), size)
            painted = [self._paint(captions[i : i + size], noise[i : i + size]) for i in places]
            return torch.cat([pictures.float() for pictures in painted])

    def _paint(self, captions: Sequence[str], latents: Tensor) -> Tensor:
        steps = self.schedule
        steps.set_timesteps(STEPS)
        ids = token_ids(self.tokenizer, [*captions, *[""] * len(captions)]).to(latents.device)
        words = self.text(ids).last_hidden_state
        for timestep in steps.timesteps.tolist():
            told, untold = self.unet(latents.repeat(2, 1, 1, 1), timestep, words).sample.float().tensor_split(2)
            (latents, *_) = steps.step(untold + GUIDANCE * (told - untold), timestep, latents, return_dict=False)
        return decode(self.vae, latents)


def sheet(rows: Sequence[Tensor], file: Path) -> None:
    """Write pictures in [0, 1] side by side, one row for each tensor of [n, 3, H, W]."""
    lines = [torch.cat(list(row.cpu()), dim=2) for row in rows]
    pixels = (torch.cat(lines, dim=1) * 255).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(file, format="PNG", optimize=True)
