"""The transformer of Qwen-Image, its masked prompts, and its VAE, which is one of videos."""

from __future__ import annotations

from torch import Tensor

from retouch.api import Prompt, upload_numbers
from retouch.api.families import Ask, Net, Rows, Spans
from retouch.api.kit import Encoded, VaeCodec, cells, patches


class QwenImageNet(Net):
    """Tokens of the text, then of the picture, each of two by two latent cells."""

    def forward(self, ask: Ask, rows: Rows) -> Tensor:
        """[B, C, h, w]"""
        height, width = rows.x.shape[-2:]
        out = ask(
            patches(rows.x, 2),
            rows.embeds,
            rows.extra["mask"],
            rows.timesteps / 1000,
            img_shapes=[[(1, height // 2, width // 2)]] * len(rows.x),
            return_dict=False,
        )[0]
        return cells(out, (height, width), 2)

    def spans(self, rows: Rows) -> Spans:
        """The text comes first."""
        words = rows.embeds.shape[1]
        return Spans(slice(words, None), slice(0, words))


class FrameCodec(VaeCodec):
    """A picture is a video of one frame; the VAE's config holds mean and spread of each channel."""

    def scaled(self, cells: Tensor) -> Tensor:
        """[B, C, 1, h, w] -> [B, C, h, w]"""
        mean, spread = self._statistics(cells)
        return (cells[:, :, 0] - mean) / spread

    def unscaled(self, latents: Tensor) -> Tensor:
        """[B, C, h, w] -> [B, C, 1, h, w]"""
        mean, spread = self._statistics(latents)
        return (latents * spread + mean)[:, :, None]

    def encode(self, pictures: Tensor) -> Tensor:
        """[B, 3, H, W] in [0, 1] -> [B, C, h, w]"""
        return super().encode(pictures[:, :, None])

    def decode_freely(self, latents: Tensor) -> Tensor:
        """[B, C, h, w] -> [B, 3, H, W]"""
        return super().decode_freely(latents)[:, :, 0]

    def _statistics(self, like: Tensor) -> tuple[Tensor, Tensor]:
        config = self.vae.config
        numbers = [config[name] for name in ("latents_mean", "latents_std")]
        mean, spread = upload_numbers(numbers, like.dtype, like.device)[:, :, None, None]
        return mean, spread


def masked(text: str, read: Encoded) -> Prompt:
    """Make a prompt of what Qwen says, whose padding the network does not attend to."""
    return Prompt(text, read.embeds, read.tokens.spans, read.tokens.ids, extra={"mask": read.mask})
