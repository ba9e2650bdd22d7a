"""The transformer of FLUX.2, and its latents: two by two cells of the VAE, normalised by the VAE's own statistics."""

from __future__ import annotations

from torch import Tensor

from retouch.api.families import Ask, Net, Rows, Spans
from retouch.api.kit import VaeCodec, cells, patches
from retouch_models.networks.flux import places


class Flux2Net(Net):
    """Tokens of the text, then of the picture, one for each latent cell; axes: time, height, width, word."""

    def forward(self, ask: Ask, rows: Rows) -> Tensor:
        """[B, C, h, w]"""
        height, width = rows.x.shape[-2:]
        out = ask(
            patches(rows.x, 1),
            rows.embeds,
            rows.timesteps / 1000,
            img_ids=places(rows.x, (1, height, width, 1)),
            txt_ids=places(rows.x, (1, 1, 1, rows.embeds.shape[1])),
            return_dict=False,
        )[0]
        return cells(out, (height, width), 1)

    def spans(self, rows: Rows) -> Spans:
        """The text comes first."""
        words = rows.embeds.shape[1]
        return Spans(slice(words, None), slice(0, words))


class FoldedCodec(VaeCodec):
    """Latents of 4 C channels at half the size of the VAE's own, whose batch norm scales them."""

    def scaled(self, cells: Tensor) -> Tensor:
        """[B, C, 2 h, 2 w] -> [B, 4 C, h, w]"""
        mean, spread = self._statistics(cells)
        return (_folded(cells) - mean) / spread

    def unscaled(self, latents: Tensor) -> Tensor:
        """[B, 4 C, h, w] -> [B, C, 2 h, 2 w]"""
        mean, spread = self._statistics(latents)
        return _unfolded(latents * spread + mean)

    def _statistics(self, like: Tensor) -> tuple[Tensor, Tensor]:  # [4 * C, 1, 1] each
        norm = self.vae.bn
        spread = (norm.running_var + self.vae.config.batch_norm_eps).sqrt()
        return norm.running_mean[:, None, None].to(like), spread[:, None, None].to(like)


def _folded(x: Tensor) -> Tensor:
    """Each two by two cells to one of four times the channels.  [B, C, h, w] -> [B, 4 * C, h / 2, w / 2]"""
    return cells(patches(x, 2), (x.shape[-2] // 2, x.shape[-1] // 2), 1)


def _unfolded(x: Tensor) -> Tensor:
    """Undo `_folded`.  [B, 4 * C, h, w] -> [B, C, 2 * h, 2 * w]"""
    return cells(patches(x, 1), (x.shape[-2] * 2, x.shape[-1] * 2), 2)
