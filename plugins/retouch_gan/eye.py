"""What edits are led by: the embedded image-text model, and the losses on what it sees and reads.

Nothing here knows of a generator.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

import retouch_storybook
from retouch.api import NoiseSource, Weights, call, gather

FOLDER = Path(retouch_storybook.__file__).parent / "weights" / "image_text"
SHIFT, ZOOM = 0.16, 0.1  # of views, at most: shares of half a side, and of the size


class Sight(NamedTuple):
    """A picture as the image tower has it."""

    embedding: Tensor  # [d], of length 1: a direction in the space shared with texts
    features: Tensor  # [layers * patches, dim], each of length 1: what every layer makes of every patch


class _Clip(CLIPModel):
    def __init__(self) -> None:
        super().__init__(CLIPConfig(**json.loads((FOLDER / "config.json").read_text("utf-8"))))


class ImageTower(_Clip):
    """Pictures to embeddings and features."""

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """[n, 3, 64, 64] in [0, 1] -> [n, d], [n, layers * patches, dim]"""
        said: Any = self.vision_model(pixel_values=pictures * 2 - 1, output_hidden_states=True)
        patches = torch.cat([layer[:, 1:] for layer in said.hidden_states[1:]], dim=1)
        return F.normalize(self.visual_projection(said.pooler_output), dim=1), F.normalize(patches, dim=2)


class TextTower(_Clip):
    """Tokens to embeddings."""

    def forward(self, ids: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """[n, tokens], whole numbers of any type -> [n, d]"""
        said: Any = self.text_model(input_ids=ids.round().long())
        return F.normalize(self.text_projection(said.pooler_output), dim=1)


@dataclass(frozen=True, slots=True)
class Eye:
    """An image-text model."""

    image: Callable[[Tensor], Any]
    text: Callable[[Tensor], Any]

    @classmethod
    def of(cls, weights: Weights) -> Eye:
        """The one whose weights are called "eye"."""
        return cls(weights.network("eye", ImageTower), weights.network("eye", TextTower))

    async def see(self, picture: Tensor) -> Sight:
        """[3, 64, 64] in [0, 1]; differentiable."""
        return Sight(*await call(self.image, picture))

    async def looks(self, picture: Tensor, frames: Tensor) -> list[Sight]:
        """[3, 64, 64], seen through frames [views, 3] of `frames`; differentiable."""
        return await gather(self.see(each) for each in _through(picture, frames))

    async def read(self, text: str, like: Tensor) -> Tensor:
        """Where a text points.  like: of what precision, and on which device.  [d], of length 1"""
        ids = torch.tensor(_tokenizer()(text, padding="max_length", truncation=True).input_ids)
        return await call(self.text, ids.to(like))


def unlike(seen: Sight, wanted: Sight) -> Tensor:
    """How much two pictures differ to the image tower, patch by patch: 0 for equal ones, about 1 for any two.  []"""
    return 1 - (seen.features * wanted.features).sum(dim=1).mean()


def mismatch(seen: Sight, text: Tensor) -> Tensor:
    """1 less the cosine of a picture and a text.  Patashnik et al. 2021, arXiv:2103.17249, eq. 1.  []"""
    return 1 - seen.embedding @ text


def astray(before: Sight, after: Sight, source: Tensor, target: Tensor) -> Tensor:
    """1 less the cosine of the picture's way and the text's.  Gal et al. 2021, arXiv:2108.00946, eq. 5.  []"""
    way = after.embedding - before.embedding
    # Before the first step there is no way yet, and its direction would be infinitely steep.
    return 1 - F.cosine_similarity(way, target - source, dim=0, eps=1e-2)


def mean(losses: Iterable[Tensor]) -> Tensor:
    """The mean of several losses.  []"""
    return torch.stack(list(losses)).mean()


def frames(noise: NoiseSource, steps: int, views: int, like: Tensor) -> Tensor:
    """How a picture is seen at each step: what it is moved by and zoomed.  [steps, views, 3]

    One view is the picture as it is.  Several, each another at each step, are harder to deceive than one: Liu et al.
    2021, arXiv:2112.01573, section 3.1.
    """
    if views == 1:
        return like.new_zeros(steps, 1, 3)
    draws = noise.normal(steps, like.new_zeros(views, 3))
    return draws.clamp(-2, 2) / 2 * draws.new_tensor([SHIFT, SHIFT, ZOOM])


def _through(picture: Tensor, frames: Tensor) -> Tensor:
    """[3, H, W], [views, 3] -> [views, 3, H, W]"""
    if not frames.any():
        return picture.expand(len(frames), -1, -1, -1)
    across, down, zoom = frames.unbind(1)
    none = torch.zeros_like(zoom)
    rows = torch.stack([1 + zoom, none, across], 1), torch.stack([none, 1 + zoom, down], 1)
    grid = F.affine_grid(torch.stack(rows, 1), [len(frames), *picture.shape], align_corners=False)
    batch = picture.expand(len(frames), -1, -1, -1)
    return F.grid_sample(batch, grid, padding_mode="reflection", align_corners=False)


@cache
def _tokenizer() -> CLIPTokenizer:
    return CLIPTokenizer.from_pretrained(FOLDER, local_files_only=True)
