"""What an edit is measured against: its two drawings and its true region, drawn on demand and kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from retouch_bench.edits import HeldOutEdit
from retouch_storybook.world import edited_region, render

RINGING = 3  # pixels by which the drawings' reduction reaches beyond the region


@dataclass(frozen=True)
class Drawn:
    """An edit with its pictures, in a folder of files."""

    edit: HeldOutEdit
    folder: Path
    size: int  # pixels on a side

    @property
    def source(self) -> Path:
        return self.kept("source", lambda: render(self.edit.before, self.size))

    @property
    def truth(self) -> Path:
        return self.kept("truth", lambda: render(self.edit.after, self.size))

    @property
    def blank(self) -> Path:
        """A plain grey picture, to make pictures of a text alone from."""
        return self.kept("blank", lambda: Image.new("RGB", (self.size, self.size), (128, 128, 128)))

    @cached_property
    def region(self) -> Tensor:
        """How much of each pixel the edit changes, exactly.  [H, W] in [0, 1]"""
        path = self.kept("region", lambda: edited_region(self.edit.before, self.edit.after, self.size))
        return torch.from_numpy(np.asarray(Image.open(path)) / 255)

    @cached_property
    def inside(self) -> Tensor:
        """The region with a margin for what `render` rings: beyond it both drawings are the same.  [H, W], bool"""
        touched = (self.region > 0).float()[None, None]
        return F.max_pool2d(touched, 2 * RINGING + 1, 1, RINGING)[0, 0] > 0

    def cells(self, scale: int) -> Tensor:
        """The region on latent cells of so many pixels: a cell is edited if any of its pixels is.  [h, w], bool"""
        return F.max_pool2d((self.region > 0).float()[None, None], scale)[0, 0] > 0

    def kept(self, what: str, draw: Callable[[], Image.Image]) -> Path:
        """A picture of this edit at this size, drawn once: edits of other seeds have the same names."""
        told = repr((self.edit.before, self.edit.after, self.size))
        path = self.folder / sha256(told.encode()).hexdigest()[:12] / f"{self.edit.name}-{what}.png"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_suffix(".unfinished")
            draw().save(unfinished, format="PNG", compress_level=1)
            unfinished.replace(path)
        return path


class Strokes(Drawn):
    """An edit of what somebody paints who cannot draw: flat strokes of few colours, which no model here has seen.

    Kim et al. 2022, arXiv:2110.02711, sec. 3.3, begin with such where they go from one unseen domain to another.
    """

    CELLS, COLOURS = 16, 8

    @property
    def source(self) -> Path:
        return self.kept("strokes", lambda: strokes(render(self.edit.before, self.size), self.CELLS, self.COLOURS))


def strokes(picture: Image.Image, cells: int, colours: int) -> Image.Image:
    """The picture in so many cells along each side, each of one of so few colours."""
    small = picture.convert("RGB").resize((cells, cells), Image.Resampling.BOX)
    few = small.quantize(colours, Image.Quantize.MEDIANCUT).convert("RGB")
    return few.resize(picture.size, Image.Resampling.NEAREST)


def read(path: Path) -> Tensor:
    """A picture file as it is seen: [3, H, W] in [0, 1], in steps of 1/255"""
    return torch.from_numpy(np.asarray(Image.open(path).convert("RGB")) / 255).permute(2, 0, 1)
