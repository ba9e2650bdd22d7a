"""A scene's views and those held out, before and after an edit, exact."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL.Image import Image as Picture
from torch import Tensor

from retouch.api import Image, Mask, Turned
from retouch_scenes.views import Lens, Views
from retouch_storybook.popup import PopUp, SpaceEdit, angles, region, write_views
from retouch_storybook.popup.book import FOCAL
from retouch_storybook.solids import LENS, SolidEdit
from retouch_storybook.world.settings import SIDE

HELD_SHIFT = 0.41  # of the line on which cameras stand round a thing, so that no held-out one is a training one
SEEN = 0.02  # of white: what two pictures differ by where an edit shows


@dataclass(frozen=True)
class SidesTruth(ABC):
    """An edit of something that can be drawn from any side, before and after, from so many sides, at one size."""

    views: int = field(default=20, kw_only=True)
    held: int = field(default=8, kw_only=True)
    size: int = field(default=64, kw_only=True)

    @property
    def bounds(self) -> str:
        """Options of `fit field` that say how far from its cameras it is; none where these tell it."""
        return ""

    @property
    @abstractmethod
    def focal(self) -> float:
        """Of the camera, in pixels."""

    @abstractmethod
    def poses(self, kind: str) -> list[np.ndarray]:
        """Where cameras stand, from camera to world: those of "training", or those "held out".  [4, 4] each"""

    @abstractmethod
    def drawn(self, which: str, pose: np.ndarray) -> Picture:
        """It, "before" or "after", from one place."""

    @cached_property
    @abstractmethod
    def regions(self) -> list[Tensor]:
        """Of each view that is held out, where the edit shows.  [H, W] bool each"""

    def seen(self, which: str, kind: str) -> Views:
        """It, "before" or "after", from the places of `kind`."""
        poses = self.poses(kind)
        lens = Lens(self.focal, self.focal, self.size / 2, self.size / 2, self.size, self.size)
        images = tuple(_over_white(self.drawn(which, pose)) for pose in poses)
        names = tuple(f"{i:03d}" for i in range(len(poses)))
        return Views(images, torch.from_numpy(np.stack(poses)).float(), (lens,) * len(poses), names)

    @cached_property
    def held_truth(self) -> Views:
        return self.seen("after", "held out")

    def written(self, folder: Path) -> Path:
        """The views before the edit, in a folder of its own for each number and size of them, written once."""
        folder = folder.with_name(f"{folder.name}-{self.views}x{self.size}")
        if not (folder / "transforms.json").exists():
            poses = self.poses("training")
            write_views(folder, [self.drawn("before", pose) for pose in poses], poses, self.focal)
        return folder


@dataclass(frozen=True)
class SpaceTruth(SidesTruth):
    """An edit of a scene that stands like an open book."""

    edit: SpaceEdit

    @cached_property
    def books(self) -> dict[str, PopUp]:
        return {"before": PopUp(self.edit.before), "after": PopUp(self.edit.after)}

    @property
    def focal(self) -> float:
        return FOCAL * self.size / SIDE

    def poses(self, kind: str) -> list[np.ndarray]:
        count = self.views if kind == "training" else self.held
        return [self.books["before"].pose(*place) for place in angles(count, kind)]  # pyright: ignore[reportArgumentType]

    def drawn(self, which: str, pose: np.ndarray) -> Picture:
        return self.books[which].render(pose, self.size)

    @cached_property
    def regions(self) -> list[Tensor]:
        books = self.books["before"], self.books["after"]
        return [torch.from_numpy(region(*books, pose, self.size)) for pose in self.poses("held out")]


@dataclass(frozen=True)
class SolidTruth(SidesTruth):
    """An edit of something that can be walked round, so that it lies in a box; a figure is cut out."""

    edit: SolidEdit

    @property
    def bounds(self) -> str:
        return self.edit.before.bounds

    @property
    def focal(self) -> float:
        return LENS * self.size

    def poses(self, kind: str) -> list[np.ndarray]:
        places = self.edit.before.places
        return places(self.views) if kind == "training" else places(self.held, HELD_SHIFT)

    def drawn(self, which: str, pose: np.ndarray) -> Picture:
        return getattr(self.edit, which).seen(pose, self.size)

    @cached_property
    def regions(self) -> list[Tensor]:
        pairs = zip(self.seen("before", "held out").images, self.held_truth.images, strict=True)
        return [(one.data - other.data).abs().amax(0) > SEEN for one, other in pairs]


class TrueTurn:
    """A flow that knows the answer: what the ceiling is measured with.  It looks pictures up among the views before."""

    def __init__(self, before: Views, after: Views) -> None:
        self._before, self._after = before, after

    async def __call__(
        self, image: Image, *, source: Image | None = None, mask: Mask | None = None, key: str = ""
    ) -> Turned:
        """The true picture, and where it differs."""
        asked = (source or image).data
        gaps = [float((asked - each.data).abs().max()) for each in self._before.images]
        i = min(range(len(gaps)), key=gaps.__getitem__)
        true = self._after.images[i]
        differs = (true.data - self._before.images[i].data).abs().amax(0) > SEEN
        return Turned(true, Mask(differs.float()))


def _over_white(picture: Picture) -> Image:
    """A drawing as numbers; of one that is cut out, as it lies on white, with its alpha."""
    data = torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255
    return Image(data[:3] * data[3] + 1 - data[3], data[3]) if len(data) == 4 else Image(data)
