"""Random models of a few thousand parameters: they test structure and numerics, not pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional as F

from retouch.core.denoiser import Denoiser
from retouch.core.device.ordered import bilinear
from retouch.core.eyes import ImageText, Perceptual, VisionTokens
from retouch.core.schedule import PredictionKind, Schedule
from retouch.core.values import Canvas, Edit, Latents, NoiseSource, Prompt
from retouch.core.words import places
from retouch.models.kit.unet import UNet, random_unet
from retouch.models.kit.unet_sites import attention_sites
from retouch.models.network.acceleration import EAGER, Acceleration
from retouch.models.network.core import NetworkCore

TOKENS, WIDTH, CHANNELS, CELLS = 7, 32, 4, 8


def tiny_core(
    kind: PredictionKind = "epsilon",
    seed: int = 1,
    dtype: torch.dtype = torch.float32,
    *,
    device: torch.device | str = "cpu",
    acceleration: Acceleration = EAGER,
    **config: Any,
) -> NetworkCore:
    """A UNet of the Stable Diffusion shape with two levels, on 8x8 latents; `config` adds to its configuration."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        unet = random_unet(
            sample_size=CELLS,
            in_channels=CHANNELS,
            out_channels=CHANNELS,
            layers_per_block=1,
            block_out_channels=(32, 64),
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            cross_attention_dim=WIDTH,
            attention_head_dim=8,
            norm_num_groups=8,
            **config,
        )
    moved = torch.nn.Module.to(unet, device, dtype)
    return NetworkCore(UNet(moved), kind, attention_sites(unet.config), acceleration=acceleration)


def tiny_model(
    kind: PredictionKind = "epsilon", seed: int = 1, dtype: torch.dtype = torch.float32, **more: Any
) -> Denoiser:
    """The same, as stages see it."""
    return Denoiser(tiny_core(kind, seed, dtype, **more))


def schedule(steps: int) -> Schedule:
    """Stable Diffusion's own noise levels on a DDIM grid."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    return Schedule.ddim((1 - betas).cumprod(0).tolist(), steps)


class Draws:
    """Seeded latents and prompts for one test; but for rounding the same in every precision, on every device."""

    def __init__(self, seed: int = 0, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> None:
        self.generator, self.dtype, self.device = torch.Generator().manual_seed(seed), dtype, device

    def tensor(self, *shape: int) -> torch.Tensor:
        """N(0, 1)."""
        return torch.randn(*shape, generator=self.generator, dtype=torch.float64).to(self.device, self.dtype)

    def latents(self) -> Latents:
        """A picture's worth."""
        return Latents(self.tensor(CHANNELS, CELLS, CELLS), Canvas(CELLS * 4, CELLS * 4, 4))

    def prompt(self, text: str = "a white cat") -> Prompt:
        """An embedding that no encoder made; its words are spread over the first tokens."""
        return Prompt(text, self.tensor(TOKENS, WIDTH), _spans(text))

    def edit(self, source: str = "a white cat", target: str = "a white dog") -> Edit:
        """Two prompts and an empty one."""
        return Edit(self.prompt(source), self.prompt(target), self.prompt(""))


class TinyTexts:
    """A text encoder of random numbers: the same for the same text."""

    def __init__(self, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> None:
        self.dtype, self.device = dtype, device
        self.learnt: dict[str, Sequence[torch.Tensor]] = {}

    async def prompt(self, text: str) -> Prompt:
        """The text, and an embedding that depends on nothing else but what was learnt of its words."""
        embeds = NoiseSource(0, text).normal(TOKENS, torch.zeros(WIDTH, dtype=self.dtype, device=self.device))
        for word, (vectors,) in self.learnt.items():
            embeds = embeds + vectors.sum(0) * bool(places(word, text))
        return Prompt(text, embeds, _spans(text))

    def vectors(self, text: str) -> list[torch.Tensor]:
        """One of random numbers for each word.  [words, WIDTH]"""
        like = torch.zeros(WIDTH, dtype=self.dtype, device=self.device)
        return [NoiseSource(0, text).normal(max(len(text.split()), 1), like)]

    def knowing(self, word: str, vectors: Sequence[torch.Tensor]) -> TinyTexts:
        """The same, to whose prompts with this word its vectors are added."""
        made = TinyTexts(self.dtype, self.device)
        made.learnt = {**self.learnt, word: vectors}
        return made


class TinyCodec:
    """A codec without weights: a latent cell is the mean colour of its pixels, from -1 to 1, over and over.

    channels: of latents; the first three hold red, green and blue, the others repeat them.
    """

    def __init__(self, channels: int = CHANNELS, scale: int = 4) -> None:
        self.channels, self.scale, self.side = channels, scale, CELLS * scale

    def padded(self, height: int, width: int) -> tuple[int, int]:
        """Whole cells."""
        return -(-height // self.scale) * self.scale, -(-width // self.scale) * self.scale

    def encode(self, pictures: torch.Tensor) -> torch.Tensor:
        """[B, 3, H, W] in [0, 1] -> [B, C, h, w]"""
        cells = torch.nn.functional.avg_pool2d(pictures, self.scale) * 2 - 1
        return torch.stack([cells[:, channel % 3] for channel in range(self.channels)], 1)

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """[B, C, h, w] -> [B, 3, H, W] in [0, 1], every pixel of a cell alike."""
        return self.decode_freely(latents).clamp(0, 1)

    def decode_freely(self, latents: torch.Tensor) -> torch.Tensor:
        """The same, where colours may leave [0, 1]."""
        colours = (torch.stack([latents[:, channel % self.channels] for channel in range(3)], 1) + 1) / 2
        return colours.repeat_interleave(self.scale, -2).repeat_interleave(self.scale, -1)


class TinyEyes:
    """Networks that look at pictures, of random numbers: smooth, so that a gradient can be held to differences."""

    SIDE, PATCH, LAYERS = 8, 4, 2  # pixels, pixels, layers

    def __init__(self, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> None:
        patch = 3 * self.PATCH**2
        like = torch.zeros(patch, WIDTH, dtype=dtype, device=device)
        self.weights = NoiseSource(0, "eyes").normal(self.LAYERS, like) / patch**0.5  # [layers, 3 * patch^2, d]

    def image_text(self) -> ImageText:
        """It sees the mean of all patches; a text is whatever its letters draw."""
        return ImageText(self.SIDE, lambda batch: F.normalize(self._looked(batch)[0][:, -1], dim=1), self._read, _unit)

    def vision_tokens(self) -> VisionTokens:
        """Keys are patches, mixed; the class token is their mean."""
        return VisionTokens(self.SIDE, self.LAYERS, self._looked)

    def perceptual(self) -> Perceptual:
        """The mean squared difference of patches, mixed."""

        def between(pairs: torch.Tensor) -> torch.Tensor:
            shown = bilinear(pairs.flatten(0, 1), (self.SIDE, self.SIDE))
            one, other = self._looked(shown)[1].unflatten(0, (-1, 2)).unbind(1)
            return (one - other).square().mean((1, 2, 3))

        return Perceptual(between)

    def _looked(self, batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """[B, 3, side, side] -> [B, layers, d], [B, layers, n, d], the class token's key first"""
        patches = F.unfold(batch, self.PATCH, stride=self.PATCH).mT  # [B, n, 3 * patch^2]
        keys = torch.stack([torch.tanh(patches @ each) for each in self.weights], 1)
        tokens = keys.mean(2)
        return tokens, torch.cat((tokens[:, :, None], keys), 2)

    def _read(self, text: str) -> torch.Tensor:
        return NoiseSource(0, text).normal(1, self.weights[0, 0])[0]


def _unit(drawn: torch.Tensor) -> torch.Tensor:
    return F.normalize(drawn, dim=1)


def _spans(text: str) -> tuple[tuple[int, int], ...]:
    """A token for each word, after the start."""
    spans, at = [(0, 0)], 0
    for word in text.split():
        spans.append((at, at + len(word)))
        at += len(word) + 1
    return tuple(spans + [(0, 0)] * (TOKENS - len(spans)))
