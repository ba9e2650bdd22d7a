"""The training data: drawings rendered by worker processes, and kept in chunks so that a kill loses one at most."""

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from retouch_storybook.train.chunks import CHUNK, is_whole, read_scenes, render_chunk
from retouch_storybook.world import Scene


@dataclass(frozen=True, slots=True)
class Drawings:
    """Drawings and what they show."""

    pixels: Tensor  # [n, 3, size, size], uint8
    scenes: Sequence[Scene]

    def __len__(self) -> int:
        return len(self.scenes)

    def pictures(self, index: Tensor | slice) -> Tensor:
        """[n, 3, size, size] in [0, 1]"""
        return self.pixels[index].float() / 255

    def first(self, count: int) -> "Drawings":
        """The first of them."""
        return Drawings(self.pixels[:count], self.scenes[:count])

    def to(self, device: str) -> "Drawings":
        """Keep the pixels on another device."""
        return Drawings(self.pixels.to(device), self.scenes)


def training_drawings(folder: Path, size: int, count: int) -> Drawings:
    """Load drawings to train on, rendering those that are not there yet; no held-out triple is among them."""
    names = [f"{k:05d}" for k in range(-(-count // CHUNK))]
    return _load(folder / str(size), names, size)


def held_out_drawings(folder: Path, size: int) -> Drawings:
    """Load drawings to measure on: held-out triples, with seeds that no training drawing has."""
    return _load(folder / str(size), ["held_out"], size)


def _load(folder: Path, names: Sequence[str], size: int) -> Drawings:
    folder.mkdir(parents=True, exist_ok=True)
    missing = [name for name in names if not is_whole(folder, name)]
    if missing:
        with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as workers:
            for _ in workers.map(partial(render_chunk, folder, size), missing):
                pass
    pixels = [torch.from_numpy(np.load(folder / f"{name}.npy")).permute(0, 3, 1, 2) for name in names]
    return Drawings(torch.cat(pixels), [scene for name in names for scene in read_scenes(folder, name)])
